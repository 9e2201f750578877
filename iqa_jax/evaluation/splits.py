"""Figures and predictions of the splits of a run, written split by split."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from iqa_jax.analysis.kinds import LOWER_IS_BETTER
from iqa_jax.analysis.kinds.kind import SCORE_KINDS, compute_metrics
from iqa_jax.evaluation.evaluation import Evaluation, calibrate_evaluation, probe_figures
from iqa_jax.evaluation.evaluator import Evaluator
from iqa_jax.evaluation.prediction_table import prediction_table
from iqa_jax.evaluation.split_figures import describe_split, note_disagreement
from iqa_jax.host.progress import say
from iqa_jax.run import build
from iqa_jax.run.config import headline_metric
from iqa_jax.run.seen import flattered
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.confidence import (
    Confidence,
    confidence_metrics,
    fit_confidence,
    read_confidence,
    write_confidence,
)
from iqa_jax.scoring.fitted.detector import anomaly_figures
from iqa_jax.scoring.fitted.probe import read_probe
from iqa_jax.scoring.fitted.score_maps import fit_score_maps, read_score_maps
from iqa_jax.scoring.fitted.thresholds import fit_on_val, read_calibration

# Images of a split -> how many of them a run has learnt from; None where that cannot be told.
CountSeen = Callable[[pd.DataFrame], int | None]


def format_figures(figures: dict[str, Any]) -> str:
    """Writes the single figures of a metrics dict on one line."""
    return "  ".join(
        f"{name} {'undefined' if value is None else f'{value:.4g}'}"
        for name, value in figures.items()
        if value is None or isinstance(value, (int, float))
    )


def count_none(images: pd.DataFrame) -> int:
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
    count_seen: CountSeen = count_none,
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
                workdir, lambda rows: evaluator(variables, "train", at_most=rows), step
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
        add_metrics(output, metrics)
    return evaluations, metrics


def add_metrics(output: Workdir, metrics: dict[str, Any]) -> None:
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
