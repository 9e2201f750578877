"""Fills the report of a run from its evaluations: report.html, and report.md beside it.

A part whose figures are not in metrics.json is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from input_pipeline.files.file_names import name_text
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.reporting.answer import answer
from iqa_jax.reporting.pages.html import write_report
from iqa_jax.reporting.pages.markdown_report import write_markdown_report
from iqa_jax.reporting.pages.report import (
    Confusion,
    FileError,
    Headline,
    Reliability,
    ReliabilityCurve,
    Report,
    RiskCoverage,
    ScoreHistogram,
    ScoreScatter,
    Table,
)
from iqa_jax.reporting.pages.text_tables import heading
from iqa_jax.reporting.reported_run import ReportedRun
from iqa_jax.reporting.run_images import (
    ImageChoice,
    Overlays,
    Plane,
    find_suspects,
    place_images,
)
from iqa_jax.run.seen import flattered
from iqa_jax.run.workdir import Workdir, versions

# What nothing was fitted or chosen on comes first.
_SPLIT_ORDER = ("test", "holdout")
_SPLITS_LAST = ("val", "train")
INTERVAL_NOTE = "Beside a figure: its 95 % bootstrap interval, drawn over groups."


def write_run_report(
    path: Path,
    run: ReportedRun,
    workdir: Workdir,
    source: TileSource,
    evaluations: Mapping[str, Evaluation],
    metrics: Mapping[str, Any],
    thresholds: tuple[float, float] | None,
    step: int,
    command: str,
    planes: Sequence[Plane] = (),
    overlays: Overlays | None = None,
) -> None:
    """Writes the report of an evaluation, and its tables as Markdown in a file beside it.

    Args:
        path: report.html, in the folder that has the tables of predictions.
        run, workdir, source: of the run, and of the images evaluated.
        evaluations: by split.
        metrics: what metrics.json holds of them.
        thresholds: of the three-class answer.
        step: of the checkpoint.
        command: how the evaluation was started.
        planes: where the images of every split that was answered are in a plane.
        overlays: gives heat-maps of images, by image_id.
    """
    tables = {name: pd.read_csv(path.parent / f"predictions_{name}.csv") for name in metrics}
    report = run_report(
        run, workdir, source, evaluations, metrics, tables, thresholds, step, command,
        planes, overlays,
    )  # fmt: skip
    write_report(path, report)
    write_markdown_report(path.with_suffix(".md"), report)


def run_report(
    run: ReportedRun,
    workdir: Workdir,
    source: TileSource,
    evaluations: Mapping[str, Evaluation],
    metrics: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    thresholds: tuple[float, float] | None,
    step: int,
    command: str,
    planes: Sequence[Plane] = (),
    overlays: Overlays | None = None,
) -> Report:
    """Gathers what the report of an evaluation shows.

    Args:
        tables: split -> the table of its predictions.
        run, workdir, source, evaluations, metrics, thresholds, step, command, planes, overlays:
            as in `write_run_report`.
    """
    kind = run.kind
    splits = in_order(metrics)
    answered = [name for name in splits if evaluations[name].is_answered.any()]
    choices = {
        name: ImageChoice(source, name, evaluations[name], tables[name], thresholds, overlays)
        for name in answered
    }
    # The report shows images that no choice was made on, unless there are no others.
    shown = [choices[name] for name in answered if name != "val" or len(metrics) == 1]
    warned = list(warnings(metrics))
    suspects = find_suspects([*choices.values()]) if choices and not kind.is_of_pairs else None
    cuts = dict(zip(("bad below", "good from"), thresholds, strict=True)) if thresholds else {}
    return Report(
        title=name_text(workdir.folder.resolve().name),
        command=command,
        summary=_summarise(metrics, step),
        answer=answer(
            run,
            workdir.folder,
            splits,
            metrics,
            bool(warned),
            len(suspects.rows) if suspects else 0,
        ),
        headlines=list(headlines(run, metrics)),
        warnings=warned,
        metrics={name: metrics[name]["fusions"] for name in splits},
        three_class=three_class(metrics),
        three_class_intervals=intervals(three_class(metrics)),
        headline_fusion=run.headline,
        intervals=intervals(metrics),
        interval_note=INTERVAL_NOTE if intervals(metrics) else "",
        history=workdir.history(),
        best_step=step,
        reliabilities=list(_reliabilities(metrics)),
        coverages=list(_coverages(metrics)),
        confusions=list(_confusions(run, metrics)),
        histograms=[
            ScoreHistogram(f"Scores, {name}", _scores_by_label(evaluations[name]), cuts)
            for name in answered
            if kind.has_classes
        ],
        scatters=[
            _scatter(name, evaluations[name], metrics[name].get("score_map") or {})
            for name in answered
            if kind.has_scale
        ],
        mistakes=[gallery for choice in shown for gallery in choice.mistakes()],
        extremes=[gallery for choice in shown for gallery in choice.extremes()],
        uncertain=[gallery for choice in shown for gallery in choice.uncertain()],
        suspects=suspects,
        projections=[place_images(plane, [*choices.values()]) for plane in planes if choices],
        rankings=list(_rankings(metrics)),
        localisation=list(_localisation(metrics)),
        score_range=kind.score_range,
        audit=workdir.audit(),
        errors=[
            FileError(evaluations[name].images["name"].iloc[row], answer.error)
            for name in splits
            for row, answer in enumerate(evaluations[name].answers)
            if answer.error
        ],
        config=run.settings,
        versions=versions(),
    )


def in_order(metrics: Mapping[str, Any]) -> list[str]:
    """Puts test and hold-out first and what the run was chosen or trained on last."""

    def place(name: str) -> int:
        if name in _SPLIT_ORDER:
            return _SPLIT_ORDER.index(name)
        return 3 + _SPLITS_LAST.index(name) if name in _SPLITS_LAST else 2

    return sorted(metrics, key=place)


def headlines(run: ReportedRun, metrics: Mapping[str, Any]) -> Iterator[Headline]:
    """Gives the figure that the run is judged by, on every split."""
    name = run.metric
    for split in in_order(metrics):
        figures = metrics[split]
        note = f"{heading(figures['fusion'])} over {figures.get('n', 0)} images"
        if (groups := figures.get("groups")) is not None:
            note += f" of {groups} groups"
        if split == "val" and run.chosen_by:
            note += "; the checkpoint was chosen on them"
        if figures.get("is_calibrated") is False:
            note += "; of the answers before calibration"
            note += ", which was fitted on them" if split == "val" else ""
        yield Headline(
            name,
            split,
            figures["fusions"].get(figures["fusion"], {}).get(name),
            note,
            intervals(metrics).get(split, {}).get(name),
        )


def intervals(metrics: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Gives the intervals that are defined, of the headline fusion: split -> figure -> ends."""
    found = {
        split: {
            name: (float(ends[0]), float(ends[1]))
            for name, ends in (metrics[split].get("intervals") or {}).items()
            if ends is not None and None not in ends
        }
        for split in in_order(metrics)
    }
    return {split: named for split, named in found.items() if named}


def three_class(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Gives the figures of the three-class answer, of the splits that have them."""
    return {
        split: metrics[split]["three_class"]
        for split in in_order(metrics)
        if "three_class" in metrics[split]
    }


def warnings(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Says what must be known before a figure is believed."""
    for split in in_order(metrics):
        figures = metrics[split]
        for sentence in figures.get("disagrees_with_test") or ():
            yield f"{sentence}."
        if overlap := figures.get("seen_in_training", 0):
            yield f"{flattered(overlap, split)}."
        elif overlap is None:
            yield f"Whether images of {split} trained this run cannot be told."
        if figures["errors"]:
            yield f"{figures['errors']} of {figures['rows']} images of {split} could not be read."


def _summarise(metrics: Mapping[str, Any], step: int) -> str:
    images = sum(figures["rows"] for figures in metrics.values())
    tiles = sum(figures["tiles"] for figures in metrics.values())
    return f"Checkpoint of step {step}; {images} images in {tiles} tiles scored."


def _confusions(run: ReportedRun, metrics: Mapping[str, Any]) -> Iterator[Confusion]:
    classes, fusion = run.kind.classes, run.headline
    for split in in_order(metrics):
        if counts := metrics[split]["fusions"].get(fusion, {}).get("confusion"):
            yield Confusion(f"{split}, {heading(fusion).lower()}", classes, counts)
    for split, figures in three_class(metrics).items():
        names = (classes[0], run.kind.marginal, classes[-1])
        yield Confusion(f"{split}, three classes", names, figures["confusion"])


def _reliabilities(metrics: Mapping[str, Any]) -> Iterator[Reliability]:
    for split in in_order(metrics):
        if not (found := metrics[split].get("calibration")):
            continue
        curves = [_reliability_curve("as answered", found["reliability"], found.get("ece"))]
        if raw := found.get("reliability_raw"):
            curves.append(_reliability_curve("before calibration", raw, found.get("ece_raw")))
        yield Reliability(f"Calibration, {split}", curves)


def _reliability_curve(
    name: str, bins: Sequence[Mapping[str, Any]], ece: float | None
) -> ReliabilityCurve:
    filled = [row for row in bins if row["count"]]
    confidence, accuracy, count = (
        np.array([row[key] for row in filled]) for key in ("confidence", "accuracy", "count")
    )
    return ReliabilityCurve(name, confidence, accuracy, count, ece)


def _coverages(metrics: Mapping[str, Any]) -> Iterator[RiskCoverage]:
    for split in in_order(metrics):
        found = metrics[split].get("selective") or {}
        if curve := found.get("curve"):
            yield RiskCoverage(
                f"Risk and coverage, {split}",
                np.array(curve["coverage"]),
                np.array(curve["risk"]),
                found.get("loss", "risk"),
                found.get("aurc"),
            )


def _scatter(split: str, evaluation: Evaluation, score_map: Mapping[str, Any]) -> ScoreScatter:
    curve = score_map.get("curve")
    return ScoreScatter(
        f"Predicted and given, {split}",
        evaluation.kind.score_of(evaluation.values(evaluation.headline)),
        evaluation.images["label"].to_numpy()[evaluation.is_answered],
        mapping=np.array(curve) if curve else None,
        mapping_name=f"{heading(score_map.get('kind', ''))} map, fitted on train",
    )


def _rankings(metrics: Mapping[str, Any]) -> Iterator[Table]:
    splits = [split for split in in_order(metrics) if metrics[split].get("pair_accuracy_by_kind")]
    found = {split: metrics[split]["pair_accuracy_by_kind"] for split in splits}
    if kinds := [*dict.fromkeys(kind for row in found.values() for kind in row)]:
        yield Table(
            "Pairs in the right order, by kind of distortion",
            ["Kind", *splits],
            [[heading(kind), *(found[split].get(kind) for split in splits)] for kind in kinds],
            "Share of the pairs of levels; 0.5 is guessing.",
        )


def _localisation(metrics: Mapping[str, Any]) -> Iterator[Table]:
    for split in in_order(metrics):
        if not (found := metrics[split].get("localisation")):
            continue
        names = [*dict.fromkeys(name for row in found["maps"].values() for name in row)]
        yield Table(
            f"Maps against known bad regions, {split}",
            ["Map", *map(heading, names)],
            [[heading(name), *map(row.get, names)] for name, row in found["maps"].items()],
            f"{found['images']} images; on average {100 * found['region_share']:.0f} % of one is "
            "bad, which is what pointing at random would reach. A pixel AUC of 0.5 is chance.",
        )


def _scores_by_label(evaluation: Evaluation) -> dict[str, np.ndarray]:
    kind = evaluation.kind
    scores = kind.score_of(evaluation.values(evaluation.headline))
    labels = evaluation.images["label_text"].to_numpy()[evaluation.is_answered]
    return {name: scores[labels == name] for name in kind.label_names if (labels == name).any()}
