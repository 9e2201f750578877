"""Figures and predictions of the splits of a run, written split by split."""

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.evaluation.evaluation import Evaluation, calibrate_evaluation, probe_figures
from iqa_jax.evaluation.evaluator import Evaluator
from iqa_jax.evaluation.fitting import fit_on_splits
from iqa_jax.evaluation.prediction_table import prediction_table
from iqa_jax.evaluation.split_figures import describe_split, note_disagreement
from iqa_jax.host.progress import note, say
from iqa_jax.run.seen import flattered
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_metrics
from iqa_jax.scoring.fitted.detector import anomaly_figures
from iqa_jax.scoring.trained_run import TrainedRun

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


class EvaluatedSplits(NamedTuple):
    """What evaluating the splits of a run gives.

    Attributes:
        run: with what was fitted on these splits.
        evaluations: split -> evaluation of the calibrated answers.
        metrics: split -> what metrics.json holds of it: figures of the calibrated answers, but of
            the raw ones where the calibration was fitted on these rows.
    """

    run: TrainedRun
    evaluations: dict[str, Evaluation]
    metrics: dict[str, Any]


def evaluate_splits(
    run: TrainedRun,
    workdir: Workdir,
    evaluator: Evaluator,
    splits: Sequence[str],
    *,
    output: Workdir,
    is_own: bool = True,
    count_seen: CountSeen = count_none,
) -> EvaluatedSplits:
    """Evaluates splits, fits what answers need, and writes metrics.json and the predictions.

    Args:
        run, workdir: of the run.
        evaluator: of the manifest that has the splits.
        splits: `val` before what is tested.
        output: where metrics.json and the predictions go.
        is_own: whether the splits are those of the run's own manifest, which things are fitted on.
        count_seen: counts those of a split's images that the run, or one that it builds on, has
            learnt from.
    """
    evaluate_raw = cache(partial(evaluator, run.variables))
    if is_own:
        run = fit_on_splits(run, workdir, evaluator, evaluate_raw, splits)
    _tell_lacks(run, is_own)
    evaluations, metrics = {}, {}
    # What is scored is written at once: a later split may be interrupted.
    for name in splits:
        raw = evaluate_raw(name)
        evaluation = calibrate_evaluation(raw, run.calibration or {})
        overlap = count_seen(evaluation.images)
        evaluations[name] = evaluation
        metrics[name] = _figures(run, name, raw, evaluation, overlap, is_own)
        if overlap:
            say(f"WARNING: {flattered(overlap, name)}")
        table = prediction_table(
            evaluation, run.settings.confidence, run.thresholds, run.confidence or Confidence()
        )
        output.write_text(f"predictions_{name}.csv", table.to_csv(index=False))
        add_metrics(output, metrics)
    return EvaluatedSplits(run, evaluations, metrics)


def _tell_lacks(run: TrainedRun, is_own: bool) -> None:
    """Says which columns and figures stay empty for want of a fit."""
    lacks = run.lacks
    if "score_maps" in lacks and not is_own:
        say(lacks["score_maps"])
    if "calibration" in lacks:
        note(lacks["calibration"])
    if "confidence" in lacks:
        say(lacks["confidence"])


def _figures(
    run: TrainedRun,
    name: str,
    raw: Evaluation,
    evaluation: Evaluation,
    overlap: int | None,
    is_own: bool,
) -> dict[str, Any]:
    """Gives what metrics.json holds of a split: no figure on rows that it was fitted on.

    Args:
        run: whose answers are judged.
        name: of the split.
        raw, evaluation: of it, before and after calibration.
        overlap: how many of its images were learnt from; None where that cannot be told.
        is_own: whether it is a split of the run's own manifest.
    """
    settings, labels = run.settings, evaluation.images["label"].to_numpy()
    fitted_on = {"train", "val"} if overlap else {name} if is_own else set()
    # Calibration and thresholds were fitted on `val`; the network and the score maps on `train`.
    is_calibrated_here, is_learnt_here = "val" in fitted_on, "train" in fitted_on
    judged = raw if is_calibrated_here else evaluation
    figures = {
        "step": run.step,
        **describe_split(
            judged,
            thresholds=None if is_calibrated_here else run.thresholds,
            raw=raw if judged is not raw else None,
            score_maps=None if is_learnt_here else run.score_maps,
        ),
    }
    if run.kind.has_classes:
        figures["is_calibrated"] = judged is not raw
    if not is_learnt_here:
        figures |= probe_figures(judged, run.fusion, run.probe)
        figures |= anomaly_figures(settings.detector, evaluation.answers, labels)
    if overlap != 0:
        figures["seen_in_training"] = overlap
    # Intervals and abstaining were fitted on another split still.
    if not overlap and not fitted_on & {"train", settings.confidence.split}:
        confidence = run.confidence or Confidence()
        figures |= confidence_metrics(settings.confidence, evaluation.answers, labels, confidence)
    if name == "val" and len(run.views) > 1:
        figures["tta_gain"] = _tta_gain(run.metric, raw)
    return figures


def add_metrics(output: Workdir, metrics: dict[str, Any]) -> None:
    """Writes metrics.json, keeping other splits' figures of the same checkpoint."""
    step = next(iter(metrics.values()))["step"]
    known = output.read_json("metrics.json") if (output.folder / "metrics.json").exists() else {}
    known = {name: figures for name, figures in known.items() if figures["step"] == step}
    merged = {**known, **metrics}
    note_disagreement(merged)
    output.write_text("metrics.json", json.dumps(merged, indent=2))


def _tta_gain(name: str, evaluation: Evaluation) -> dict[str, Any]:
    """Compares the mean over views with the image as it is, by the metric of that name."""
    labels = evaluation.labels
    plain = np.array([one.views[0] for one in evaluation.answers if one.views is not None])
    before = None
    if len(plain):
        before = evaluation.kind.figures(plain, labels, pairs=evaluation.pairs)[name]
    after = evaluation.metrics.get(name)
    gain = None
    if before is not None and after is not None:
        gain = before - after if name in LOWER_IS_BETTER else after - before
    figures = {"metric": name, "plain": before, "tta": after, "gain": gain}
    say("val, mean over views: " + format_figures({key: figures[key] for key in list(figures)[1:]})
        + f" in {name}")  # fmt: skip
    return figures
