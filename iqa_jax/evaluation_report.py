"""Fills the report of a run from its evaluations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from input_pipeline.sources import TileSource
from iqa_jax.analysis.answers import label_of, score_of
from iqa_jax.analysis.pictures import Example, thumbnail
from iqa_jax.analysis.report import (
    Confusion,
    FileError,
    Gallery,
    Headline,
    Report,
    ScoreHistogram,
    ScoreScatter,
    write_report,
)
from iqa_jax.config import config_to_json, headline_metric
from iqa_jax.workdir import Workdir, versions

_EXAMPLES = 6


def write_run_report(
    path: Path,
    config: ml_collections.ConfigDict,
    workdir: Workdir,
    source: TileSource,
    evaluations: Mapping[str, Any],
    metrics: Mapping[str, Any],
    thresholds: tuple[float, float] | None,
    step: int,
    command: str,
) -> None:
    """Writes report.html.

    Args:
      path: the file.
      config, workdir, source: of the run, and of the images evaluated.
      evaluations: split -> `Evaluation`.
      metrics: what metrics.json holds of them.
      thresholds: of the three-class answer.
      step: of the checkpoint.
      command: how the evaluation was started.
    """
    kind, data = config.data.label_kind, config.data
    tables = {}
    for split, figures in metrics.items():
        rows = figures["fusions"]
        if "three_class" in figures:
            rows = {**rows, f"{figures['fusion']}, three classes": figures["three_class"]}
        tables[split] = rows
    report = Report(
        title=workdir.folder.resolve().name,
        command=command,
        summary=_summarise(metrics, step),
        headlines=_headlines(config, metrics),
        metrics=tables,
        history=workdir.history(),
        best_step=step,
        confusions=list(_confusions(config, metrics)),
        histograms=[
            ScoreHistogram(
                f"Scores, {split}",
                _scores_by_label(config, evaluation),
                dict(zip(("bad below", "good from"), thresholds, strict=True))
                if thresholds
                else {},
            )
            for split, evaluation in evaluations.items()
            if kind != "numeric" and evaluation.is_answered.any()
        ],
        scatters=[
            ScoreScatter(
                f"Predicted against given, {split}",
                score_of(evaluation.values(config.evaluation.fusion), kind),
                evaluation.images["label"].to_numpy()[evaluation.is_answered],
            )
            for split, evaluation in evaluations.items()
            if kind == "numeric" and evaluation.is_answered.any()
        ],
        galleries=[
            gallery
            for split, evaluation in evaluations.items()
            if split != "val" or len(evaluations) == 1
            for gallery in _galleries(config, source, split, evaluation, thresholds)
        ],
        score_range=(data.minimum, data.maximum) if kind == "numeric" else (0.0, 1.0),
        audit=workdir.read_text("audit.txt"),
        errors=[
            FileError(evaluation.images["name"].iloc[row], answer.error)
            for evaluation in evaluations.values()
            for row, answer in enumerate(evaluation.answers)
            if answer.error
        ],
        config=config_to_json(config),
        versions=versions(),
    )
    write_report(path, report)


def _summarise(metrics: Mapping[str, Any], step: int) -> str:
    images = sum(figures["rows"] for figures in metrics.values())
    tiles = sum(figures["tiles"] for figures in metrics.values())
    return f"Checkpoint of step {step}; {images} images in {tiles} tiles scored."


def _headlines(config: ml_collections.ConfigDict, metrics: Mapping[str, Any]) -> list[Headline]:
    name = headline_metric(config)
    return [
        Headline(
            f"{name}, {split}",
            figures["fusions"].get(figures["fusion"], {}).get(name),
            f"{figures['fusion']} over {figures.get('n', 0)} images",
        )
        for split, figures in metrics.items()
    ]


def _confusions(config: ml_collections.ConfigDict, metrics: Mapping[str, Any]):
    classes = tuple(config.data.classes)
    for split, figures in metrics.items():
        if (counts := figures.get("confusion")) is not None:
            yield Confusion(f"{split}, {figures['fusion']}", classes, counts)
        if "three_class" in figures:
            names = (classes[0], config.data.marginal, classes[1])
            yield Confusion(f"{split}, three classes", names, figures["three_class"]["confusion"])


def _scores_by_label(config: ml_collections.ConfigDict, evaluation) -> dict[str, np.ndarray]:
    data = config.data
    scores = score_of(evaluation.values(config.evaluation.fusion), data.label_kind)
    labels = evaluation.images["label_text"].to_numpy()[evaluation.is_answered]
    names = list(data.classes)
    if data.label_kind == "binary" and data.marginal:
        names.insert(1, data.marginal)
    return {name: scores[labels == name] for name in names if (labels == name).any()}


def _galleries(
    config: ml_collections.ConfigDict,
    source: TileSource,
    split: str,
    evaluation,
    thresholds: tuple[float, float] | None,
):
    data, kind, fusion = config.data, config.data.label_kind, config.evaluation.fusion
    rows = np.flatnonzero(evaluation.is_answered)
    if not len(rows):
        return
    scores = score_of(evaluation.values(fusion), kind)
    labels = evaluation.images["label"].to_numpy()[rows].astype(float)

    def example(place: int) -> Example:
        answer = evaluation.answers[rows[place]]
        image = evaluation.images.iloc[rows[place]]
        return Example(
            name=image["name"],
            image=thumbnail(source.image(answer.image_id)),
            size=(answer.layout.height, answer.layout.width),
            origins=answer.layout.grid.origins,
            tile_size=source.tiling.size,
            tile_scores=score_of(answer.tile_values, kind),
            score=float(scores[place]),
            # Scores here are higher-is-better; so is this, whatever the manifest's direction.
            label=f"{labels[place]:g}" if kind == "numeric" else image["label_text"],
            predicted=label_of(
                answer.values[fusion], kind, data.classes, data.marginal, thresholds
            ),
        )

    def gallery(title: str, caption: str, places) -> Gallery:
        return Gallery(f"{title}, {split}", caption, [example(int(place)) for place in places])

    order = np.argsort(scores, kind="stable")
    if kind != "unordered":
        yield gallery("Lowest scores", "The images the scorer likes least.", order[:_EXAMPLES])
        yield gallery("Highest scores", "Those it likes best.", order[::-1][:_EXAMPLES])
    if kind == "numeric":
        distance = np.abs(scores - labels)
    elif kind == "ordered":
        distance = np.abs(scores - labels / (len(data.classes) - 1))
    else:
        # How little was thought of the true class; marginal images have none.
        values = evaluation.values(fusion)
        own = values[np.arange(len(rows)), np.maximum(labels, 0).astype(int)]
        distance = np.where(labels >= 0, 1 - own, -1)
    worst = [place for place in np.argsort(-distance, kind="stable") if distance[place] >= 0]
    yield gallery("Worst mistakes", "Furthest from their label, worst first.", worst[:_EXAMPLES])
