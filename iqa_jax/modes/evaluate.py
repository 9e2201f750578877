"""Figures, predictions and a report of a run's splits: `--mode=evaluate`, and a training's end."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.checks.leaks import identify_images
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.kinds.kind import SCORE_KINDS
from iqa_jax.evaluation.evaluator import (
    Evaluation,
    Evaluator,
    calibrate_evaluation,
    compute_metrics,
    probe_figures,
)
from iqa_jax.evaluation.localise import localise
from iqa_jax.evaluation.split_figures import (
    describe_split,
    format_splits,
    note_disagreement,
)
from iqa_jax.host.progress import say
from iqa_jax.run import build
from iqa_jax.run.config import LOWER_IS_BETTER, headline_metric
from iqa_jax.run.seen import flattered, seen_by
from iqa_jax.run.variables import restore_variables
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.embedding_cache import cache_embeddings
from iqa_jax.scoring.ensemble import load_members
from iqa_jax.scoring.explainer import Explainer
from iqa_jax.scoring.fitted.confidence import (
    Confidence,
    confidence_metrics,
    fit_confidence,
    read_confidence,
    write_confidence,
)
from iqa_jax.scoring.fitted.detector import anomaly_figures, read_detector
from iqa_jax.scoring.fitted.probe import read_probe
from iqa_jax.scoring.fitted.thresholds import (
    fit_on_val,
    fit_score_maps,
    read_calibration,
    read_score_maps,
)
from iqa_jax.scoring.tables.rows import prediction_table

# Images of a split -> how many of them a run has learnt from; None where that cannot be told.
CountSeen = Callable[[pd.DataFrame], int | None]


def evaluate(workdir: Workdir, split: str, manifest_path: str, command: str) -> int:
    """Evaluates a run: `--mode=evaluate`; arguments as in `evaluate_run`; gives exit status 0."""
    evaluate_run(workdir, split=split, manifest_path=manifest_path, command=command)
    return 0


def evaluate_run(
    workdir: Workdir, *, split: str = "", manifest_path: str = "", command: str = ""
) -> dict[str, Any]:
    """Evaluates the best checkpoint of a run and writes its figures, predictions and report.

    Args:
      workdir: of the run; with another manifest the results go to a folder inside it.
      split: only this one; empty for all but `train`.
      manifest_path: evaluate on this one instead of the run's own.
      command: how it was started, for the report.

    Returns:
      What metrics.json holds.

    Raises:
      WorkdirError, ManifestError, CheckpointError: with a sentence.
    """
    config = workdir.config()
    manifest, output = _open_manifest(workdir, config, manifest_path)
    if split:
        manifest.split(split)  # Before anything is embedded for a split that is not there.
    with output.sole_writer("--mode=evaluate"):
        return _evaluate(config, workdir, manifest, output, split, manifest_path, command)


def _evaluate(
    config: ml_collections.ConfigDict,
    workdir: Workdir,
    manifest: Manifest,
    output: Workdir,
    split: str,
    manifest_path: str,
    command: str,
) -> dict[str, Any]:
    source = build.source_from_config(config, manifest)
    variables, step = restore_variables(workdir, config)
    features = workdir.features()
    detector = read_detector(workdir, config, step)
    members = load_members(workdir, config)
    embeddings = None
    # Other networks need the pixels anyhow.
    if config.bags.cached and not members:
        embeddings = cache_embeddings(config, variables, source)
    # Of the images as they are: an evaluator of rankings degrades them.
    count_seen = _seen_counter(workdir, manifest, source) if manifest_path else _count_none
    evaluator = Evaluator(
        config, manifest, source, features, embeddings,
        is_thorough=True, detector=detector, members=members,
    )  # fmt: skip
    manifest, source = evaluator.manifest, evaluator.source
    say(f"evaluating the checkpoint of step {step}")
    splits = [split] if split else [name for name in manifest.splits if name != "train"]
    if not splits:
        say("there is no split but train: its figures say how well it was learnt, no more")
        splits = ["train"]
    evaluations, metrics = evaluate_splits(
        config, workdir, evaluator, variables, step, splits,
        output=output, is_own=not manifest_path, count_seen=count_seen,
    )  # fmt: skip
    calibration = read_calibration(workdir, config, step)
    explainer = Explainer(config, detector, members, calibration)
    for name in splits:
        if found := localise(config, explainer, variables, manifest, source, features, name):
            metrics[name]["localisation"] = found
            _add_metrics(output, metrics)

    # Imports matplotlib: only a report needs it.
    from iqa_jax.reporting.run_card import write_run_card
    from iqa_jax.reporting.run_maps import grad_cam_overlays, make_planes
    from iqa_jax.reporting.run_report import write_run_report

    report = output.folder / (f"report_{split}.html" if split else "report.html")
    write_run_report(
        report,
        config,
        workdir,
        source,
        evaluations,
        metrics,
        workdir.thresholds(step),
        step,
        command,
        make_planes(config, evaluations),
        grad_cam_overlays(explainer, variables, source, features, manifest.images),
    )
    if not manifest_path:
        write_run_card(config, workdir, manifest, step)
    for name, figures in metrics.items():
        for fusion, values in figures["fusions"].items():
            say(f"{name:8} {fusion:15} " + format_figures(values))
        if figures["errors"]:
            say(f"{name:8} {figures['errors']} image(s) could not be read: predictions_{name}.csv")
        if odd := sum(bool(answer.warning) for answer in evaluations[name].answers):
            say(f"{name:8} {odd} image(s) with a warning: predictions_{name}.csv")
    # With the splits of earlier evaluations of this checkpoint.
    everything = output.read_json("metrics.json")
    for line in format_splits(everything):
        say(line)
    for sentence in everything.get("holdout", {}).get("disagrees_with_test", ()):
        say(f"WARNING: {sentence}")
    say(f"metrics.json, predictions and {report.name} are in {output.folder}")
    return metrics


def format_figures(figures: dict[str, Any]) -> str:
    """Writes the single figures of a metrics dict on one line."""
    return "  ".join(
        f"{name} {'undefined' if value is None else f'{value:.4g}'}"
        for name, value in figures.items()
        if value is None or isinstance(value, (int, float))
    )


def _count_none(images: pd.DataFrame) -> int:
    """Counts the images of a run's own manifest that were learnt from: training let none pass."""
    return 0


def evaluate_splits(
    config: ml_collections.ConfigDict,
    workdir: Workdir,
    evaluator: Evaluator,
    variables: Any,
    step: int,
    splits: Sequence[str],
    *,
    output: Workdir,
    is_own: bool = True,
    count_seen: CountSeen = _count_none,
) -> tuple[dict[str, Evaluation], dict[str, Any]]:
    """Evaluates splits, fits what answers need, and writes metrics.json and the predictions.

    Args:
      config, workdir: of the run.
      evaluator: of the manifest that has the splits.
      variables, step: of the checkpoint.
      splits: `val` before what is tested.
      output: where metrics.json and the predictions go.
      is_own: whether the splits are those of the run's own manifest, which things are fitted on.
      count_seen: counts those of a split's images that the run, or one that it builds on, has
        learnt from.

    Returns:
      Split -> evaluation of the calibrated answers, and split -> what metrics.json holds of it:
      figures of the calibrated answers, but of the raw ones where the calibration was fitted on
      these rows.
    """
    if config.data.label_kind == "numeric":
        if is_own:
            fit_score_maps(
                workdir, config, lambda rows: evaluator(variables, "train", at_most=rows), step
            )
        elif not workdir.fitted("logistic.json", step):
            say("no score map was fitted for this checkpoint: plcc_mapped and rmse_mapped stay "
                f"undefined until --mode=evaluate --workdir={workdir.folder} has run")  # fmt: skip
    raw, evaluations, metrics = {}, {}, {}
    if is_own and "val" in splits:
        raw["val"] = evaluator(variables, "val")
    # What the other fits and all tables stand on comes first.
    if is_own and ("val" in splits or "val" not in evaluator.manifest.splits):
        fit_on_val(workdir, config, raw.get("val"), step)
    calibration = read_calibration(workdir, config, step)
    confidence = read_confidence(workdir, config, step)
    trusted_on = config.uncertainty.split
    if confidence is None and is_own and trusted_on in splits:
        raw[trusted_on] = raw.get(trusted_on) or evaluator(variables, trusted_on)
        evaluation = calibrate_evaluation(config, raw[trusted_on], calibration)
        confidence = _fit_confidence(config, evaluator, variables, evaluation)
        write_confidence(workdir, config, step, confidence)
    elif confidence is None:
        say("lower, upper, ood and abstain stay empty: they are fitted where the run's split "
            f"{trusted_on} (uncertainty.split) is evaluated")  # fmt: skip
    confidence = confidence or Confidence()
    probe = read_probe(workdir, config, step)
    # What is scored is written at once: a later split may be interrupted.
    for name in splits:
        plain = raw.get(name) or evaluator(variables, name)
        evaluation = evaluations[name] = calibrate_evaluation(config, plain, calibration)
        overlap = count_seen(evaluation.images)
        thresholds = workdir.thresholds(step)
        # No figure on rows that what it needs was fitted on.
        fitted_on = {"train", "val"} if overlap else {name} if is_own else set()
        judged = plain if "val" in fitted_on else evaluation
        metrics[name] = {
            "step": step,
            **describe_split(
                config,
                judged,
                thresholds=None if "val" in fitted_on else thresholds,
                raw=plain if judged is not plain else None,
                score_maps=None if "train" in fitted_on else read_score_maps(workdir, step),
            ),
        }
        if config.data.label_kind not in SCORE_KINDS:
            metrics[name]["is_calibrated"] = judged is not plain
        if "train" not in fitted_on:
            labels = evaluation.images["label"].to_numpy()
            metrics[name] |= probe_figures(config, judged, probe)
            metrics[name] |= anomaly_figures(config, evaluation.answers, labels)
        if overlap != 0:
            metrics[name]["seen_in_training"] = overlap
        if overlap:
            say(f"WARNING: {flattered(overlap, name)}")
        # Nor on rows that intervals and abstaining were fitted on, or the network was.
        elif not is_own or name not in ("train", trusted_on):
            labels = evaluation.images["label"].to_numpy()
            metrics[name] |= confidence_metrics(config, evaluation.answers, labels, confidence)
        if name == "val" and len(build.views_from_config(config)) > 1:
            metrics[name]["tta_gain"] = _tta_gain(config, plain)
        table = prediction_table(config, evaluation, thresholds, confidence)
        output.write_text(f"predictions_{name}.csv", table.to_csv(index=False))
        _add_metrics(output, metrics)
    return evaluations, metrics


def _open_manifest(
    workdir: Workdir, config: ml_collections.ConfigDict, manifest_path: str
) -> tuple[Manifest, Workdir]:
    """Reads the manifest to evaluate, and says where results go."""
    if manifest_path:
        manifest = build.manifest_from_config(config, manifest_path, whole="all")
        # Many manifests are called manifest.csv; the digest tells them apart.
        name = f"evaluation_{Path(manifest_path).stem}_{manifest.digest[:8]}"
        output = Workdir(workdir.folder / name)
        output.folder.mkdir(exist_ok=True)
        return manifest, output
    about = workdir.read_json("manifest.json")
    manifest = build.manifest_from_config(config, about["path"])
    if manifest.digest != about["sha256"]:
        raise WorkdirError(
            f"{about['path']} has changed since {workdir.folder} was trained, so its splits may "
            f"no longer be what training saw. Put the old one back, or give the new one with "
            f"--manifest to evaluate it apart."
        )
    return manifest, workdir


def _places(images: pd.DataFrame) -> pd.Series:
    """Says where images are, or what they are called where they are given as tiles."""
    return images["path"].where(images["path"] != "", images["name"])


def _seen_counter(workdir: Workdir, manifest: Manifest, source: TileSource) -> CountSeen:
    """Makes what counts the images of another manifest that a run has learnt from."""
    seen = seen_by(workdir)
    for clause in seen.gone:
        say(f"{clause}: whether these images trained this run cannot be told")
    places = set(_places(manifest.images[seen.among(identify_images(manifest, source))]))

    def count(images: pd.DataFrame) -> int | None:
        found = len(places.intersection(_places(images)))
        return None if seen.gone and not found else found

    return count


def _add_metrics(output: Workdir, metrics: dict[str, Any]) -> None:
    """Writes metrics.json, keeping other splits' figures of the same checkpoint."""
    step = next(iter(metrics.values()))["step"]
    known = output.read_json("metrics.json") if (output.folder / "metrics.json").exists() else {}
    known = {name: figures for name, figures in known.items() if figures["step"] == step}
    merged = {**known, **metrics}
    note_disagreement(merged)
    output.write_text("metrics.json", json.dumps(merged, indent=2))


def _fit_confidence(
    config: ml_collections.ConfigDict,
    evaluator: Evaluator,
    variables: Any,
    evaluation: Evaluation,
) -> Confidence:
    return fit_confidence(
        config,
        evaluation.answers,
        evaluation.images,
        evaluator.manifest.split("train").index,
        lambda image_ids: evaluator.answers(variables, image_ids, is_plain=True),
    )


def _tta_gain(config: ml_collections.ConfigDict, evaluation: Evaluation) -> dict[str, Any]:
    """Compares the mean over views with the image as it is, by the headline metric."""
    kind, name = config.data.label_kind, headline_metric(config)
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    plain = np.array([answer.views[0] for answer in evaluation.answers if not answer.error])
    before = None
    if len(plain):
        before = compute_metrics(kind, plain, labels, pairs=evaluation.pairs)[name]
    after = evaluation.metrics.get(name)
    gain = None
    if before is not None and after is not None:
        gain = before - after if name in LOWER_IS_BETTER else after - before
    figures = {"metric": name, "plain": before, "tta": after, "gain": gain}
    say("val, mean over views: " + format_figures({key: figures[key] for key in list(figures)[1:]})
        + f" in {name}")  # fmt: skip
    return figures
