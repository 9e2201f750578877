"""Fits on a run's own splits what its answers and figures need: evaluations in, files out."""

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

from iqa_jax.analysis.kinds import Kind
from iqa_jax.evaluation.evaluation import Evaluation, calibrate_evaluation, grades_of
from iqa_jax.evaluation.evaluator import Evaluator
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.calibration import fit_calibration, write_calibration
from iqa_jax.scoring.fitted.confidence import Confidence, fit_confidence, write_confidence
from iqa_jax.scoring.fitted.score_maps import MAP_ROWS, fit_score_maps, write_score_maps
from iqa_jax.scoring.fitted.thresholds import fit_three_classes, write_thresholds
from iqa_jax.scoring.trained_run import TrainedRun


def fit_on_splits(
    run: TrainedRun,
    workdir: Workdir,
    evaluator: Evaluator,
    evaluate: Callable[[str], Evaluation],
    splits: Collection[str],
) -> TrainedRun:
    """Fits what a run lacks that these splits can give, and anew what hangs on `val`.

    Args:
        run, workdir: of the run.
        evaluator: of the run's own manifest.
        evaluate: gives the evaluation of a split, by raw answers.
        splits: those that are evaluated.

    Returns:
        The run with what was fitted.
    """
    settings = run.settings.confidence
    if run.kind.has_scale and run.score_maps is None:
        _fit_score_maps(workdir, evaluator(run.variables, "train", MAP_ROWS), run.step)
    # What the other fits and all tables stand on.
    if "val" in splits or "val" not in evaluator.manifest.splits:
        fit_on_val(workdir, run.kind, evaluate("val") if "val" in splits else None, run.step)
    run = run.refitted(workdir)
    if run.confidence is not None or settings.split not in splits:
        return run
    evaluation = calibrate_evaluation(evaluate(settings.split), run.calibration or {})
    confidence = _fit_confidence(run, evaluator, evaluation)
    write_confidence(workdir, run.step, settings, confidence)
    return dataclasses.replace(run, confidence=confidence)


def fit_on_val(workdir: Workdir, kind: Kind, evaluation: Evaluation | None, step: int) -> None:
    """Fits what the answers need, on `val`: a calibration map per fusion, then thresholds.

    Args:
        workdir: of the run.
        kind: what its answers mean.
        evaluation: of the split `val`, with raw answers; None where the run has no such split.
        step: of the checkpoint.
    """
    if not kind.has_classes:
        return
    values, labels = {}, np.zeros(0, int)
    if evaluation is not None:
        values, labels = _values_by_fusion(evaluation), evaluation.labels
    maps = fit_calibration(kind, values, labels)
    write_calibration(workdir, step, maps)
    if kind.marginal and maps and evaluation is not None:
        headline = evaluation.headline
        # On the same scale as the answers that they cut.
        scores = kind.score_of(maps[headline](values[headline]))
        if found := fit_three_classes(scores, grades_of(evaluation)):
            write_thresholds(workdir, step, found)


def _fit_score_maps(workdir: Workdir, evaluation: Evaluation, step: int) -> None:
    """Fits a map of every fusion's scores on training rows."""
    if not evaluation.is_answered.any():
        return
    values = _values_by_fusion(evaluation)
    scores = {fusion: evaluation.kind.score_of(found) for fusion, found in values.items()}
    labels = evaluation.labels.astype(np.float64)
    maps = fit_score_maps(scores, labels)
    write_score_maps(workdir, step, maps)


def _fit_confidence(run: TrainedRun, evaluator: Evaluator, evaluation: Evaluation) -> Confidence:
    return fit_confidence(
        run.settings.confidence,
        evaluation.answers,
        evaluation.images,
        evaluator.manifest.split("train").index,
        lambda image_ids: evaluator.answers(run.variables, image_ids, is_plain=True),
    )


def _values_by_fusion(evaluation: Evaluation) -> dict[str, np.ndarray]:
    return {fusion: evaluation.values(fusion) for fusion in evaluation.metrics["fusions"]}
