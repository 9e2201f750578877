"""What metrics.json says of one split besides plain figures: intervals, calibration, selection."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from iqa_jax.analysis.bootstrap import FEW_GROUPS, group_intervals, too_dear
from iqa_jax.analysis.calibration import judge_answers, reliability_table
from iqa_jax.analysis.late_fusion import three_class
from iqa_jax.analysis.logistic import ScoreMap
from iqa_jax.analysis.metrics import class_metrics, decision_metrics, mapped_metrics
from iqa_jax.analysis.pair_metrics import pair_accuracy
from iqa_jax.analysis.selective import risk_coverage
from iqa_jax.analysis.weighted_metrics import decision_measures
from iqa_jax.evaluation.evaluation import Evaluation, grades_of
from iqa_jax.scoring.fitted.confidence import uncertainty_of

_COVERAGE = 0.8
# Points of a curve that is drawn.
_POINTS = 100
# Splits that should tell the same, and are set side by side.
_TWINS = ("test", "holdout")


def describe_split(
    evaluation: Evaluation,
    *,
    thresholds: tuple[float, float] | None = None,
    raw: Evaluation | None = None,
    score_maps: Mapping[str, ScoreMap] | None = None,
) -> dict[str, Any]:
    """Gives the metrics of a split, with what needs draws or something fitted elsewhere.

    Args:
        evaluation: of the split.
        thresholds, score_maps: fitted on other rows; None where there are none, or where these are
            the rows they were fitted on.
        raw: the evaluation before calibration; None where `evaluation` is it.

    Returns:
        The evaluation's metrics; every fusion has `intervals` (figure -> [low, high], or None),
        `intervals_left_out` where there is a figure whose draws would take too long, and,
        for numeric labels, `plcc_mapped` and `rmse_mapped`; the headline also `groups`,
        `calibration`, `selective` (scores: where the answer has an uncertainty), `score_map`,
        `three_class` and `pair_accuracy_by_kind`, where they make sense.
    """
    kind, metrics = evaluation.kind, dict(evaluation.metrics)
    images, score_maps = evaluation.images[evaluation.is_answered], score_maps or {}
    groups, headline = images["group"].to_numpy(), evaluation.headline
    metrics["groups"] = int(images["group"].nunique())
    metrics["fusions"] = {
        fusion: figures | _more_figures(evaluation, fusion, images, score_maps.get(fusion))
        for fusion, figures in metrics["fusions"].items()
    }
    metrics |= metrics["fusions"].get(headline, {})
    if not len(images):
        return metrics
    values, labels = evaluation.values(headline), images["label"].to_numpy()
    if evaluation.pairs is not None:
        return metrics | _pair_figures(evaluation.pairs, kind.score_of(values))
    if kind.has_scale:
        return metrics | _score_figures(evaluation, values, labels, score_maps.get(headline))
    metrics |= _class_figures(kind.is_labelled(labels), values, labels, raw)
    if thresholds:
        answers = three_class(kind.score_of(values), *thresholds)
        metrics |= _three_class_figures(answers, grades_of(evaluation), groups)
    return metrics


def _more_figures(
    evaluation: Evaluation, fusion: str, images: pd.DataFrame, score_map: ScoreMap | None
) -> dict[str, Any]:
    """Gives the figures of one fusion that need draws or a map.

    Args:
        evaluation: of the split.
        fusion: one of its fusions.
        images: of the split, without error.
        score_map: of the fusion, fitted on other rows, if there is one.
    """
    kind, values = evaluation.kind, evaluation.values(fusion)
    labels, figures, known = images["label"].to_numpy(), {}, {}
    if kind.has_scale:
        figures |= dict.fromkeys(("plcc_mapped", "rmse_mapped"))
        if score_map:
            known["mapped"] = score_map(kind.score_of(values))
            figures |= mapped_metrics(known["mapped"], labels)
        if evaluation.stds is not None:
            known["std"] = evaluation.stds
    measures = kind.measures(values, labels, pairs=evaluation.pairs, **known)
    figures["intervals"] = group_intervals(measures, images["group"].to_numpy())
    if skipped := too_dear(measures, len(images)):
        figures["intervals_left_out"] = (
            f"{', '.join(skipped)}: drawing it from {len(images)} rows would take minutes"
        )
    return figures


def _pair_figures(pairs: pd.DataFrame, scores: np.ndarray) -> dict[str, Any]:
    return {
        "pair_accuracy_by_kind": {
            name: pair_accuracy(scores, rows[["better", "worse"]].to_numpy())
            for name, rows in pairs.groupby("kind", sort=False)
            if name
        }
    }


def _score_figures(
    evaluation: Evaluation, values: np.ndarray, labels: np.ndarray, score_map: ScoreMap | None
) -> dict[str, Any]:
    """Describes the map of opinion scores, and what leaving the unsure ones out gains."""
    kind = evaluation.kind
    scores = kind.score_of(values)
    figures: dict[str, Any] = {"score_map": _describe_map(score_map, scores) if score_map else None}
    unsure = [
        uncertainty_of(kind, evaluation.headline, answer)
        for answer in evaluation.answers
        if not answer.error
    ]
    if None not in unsure:
        figures["selective"] = _selective(
            np.array(unsure), np.abs(scores - labels), "standard deviation", "absolute error"
        )
    return figures


def _class_figures(
    is_labelled: np.ndarray, values: np.ndarray, labels: np.ndarray, raw: Evaluation | None
) -> dict[str, Any]:
    """Describes probabilities of classes: how right the sure ones are, and how well they fit."""
    if not is_labelled.any():
        return {}
    confidence, is_right = judge_answers(values[is_labelled], labels[is_labelled])
    selective = _selective(
        1 - confidence, ~is_right, "1 - probability of the answer", "share of wrong answers"
    )
    calibration = _calibration(values[is_labelled], labels[is_labelled])
    if raw is not None:
        before = _calibration(raw.values(raw.headline)[is_labelled], labels[is_labelled])
        calibration |= {f"{name}_raw": value for name, value in before.items()}
        calibration["fitted_on"] = "val"
    return {"selective": selective, "calibration": calibration}


def _three_class_figures(
    answers: np.ndarray, grades: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    figures = decision_metrics(answers, grades, 3, is_ordered=True)
    measures = decision_measures(answers, grades, 3, is_ordered=True)
    return {"three_class": {**figures, "intervals": group_intervals(measures, groups)}}


def _describe_map(score_map: ScoreMap, scores: np.ndarray) -> dict[str, Any]:
    points = np.linspace(scores.min(), scores.max(), _POINTS)
    curve = np.stack([points, score_map(points)], axis=1)
    return dataclasses.asdict(score_map) | {"fitted_on": "train", "curve": curve.tolist()}


def _selective(
    uncertainty: np.ndarray, loss: np.ndarray, uncertainty_name: str, loss_name: str
) -> dict[str, Any]:
    curve = risk_coverage(uncertainty, loss)
    shown = np.unique(np.linspace(0, len(loss) - 1, _POINTS).round().astype(int))
    return {
        "uncertainty": uncertainty_name,
        "loss": loss_name,
        "aurc": curve.aurc,
        "best_aurc": curve.best_aurc,
        "full_risk": curve.full_risk,
        f"risk_at_{_COVERAGE}": curve.risk_at(_COVERAGE),
        "curve": {
            "coverage": curve.coverage[shown].tolist(),
            "risk": curve.risk[shown].tolist(),
        },
    }


def _calibration(values: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Describes how well probabilities are calibrated."""
    figures = class_metrics(values, labels, is_ordered=False)
    table = [dataclasses.asdict(row) for row in reliability_table(values, labels)]
    return {"ece": figures["ece"], "log_loss": figures["log_loss"], "reliability": table}


def note_disagreement(metrics: Mapping[str, dict[str, Any]]) -> None:
    """Notes in `holdout` where its interval and that of `test` do not meet.

    Args:
        metrics: split -> what metrics.json holds of it; gets `disagrees_with_test`: no sentence, or
            one that names every such figure.
    """
    if not all(metrics.get(split, {}).get("intervals") for split in _TWINS):
        return
    test, holdout = (metrics[split] for split in _TWINS)
    apart = [
        f"{name} is {format_figure(test, name)} on test and {format_figure(holdout, name)} on "
        "holdout"
        for name, interval in test["intervals"].items()
        if _are_apart(interval, holdout["intervals"].get(name))
    ]
    sentences, hint = [], ""
    if min(test["groups"], holdout["groups"]) < FEW_GROUPS:
        hint = f" (or fewer than {FEW_GROUPS} groups made their intervals too narrow)"
    # One cause moves many figures: it is told once.
    if apart:
        sentences.append(
            f"{', '.join(apart)}, beyond their intervals: the two splits are not alike, and one "
            f"of them may not be what the scorer will meet{hint}"
        )
    holdout["disagrees_with_test"] = sentences


def _are_apart(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    return bool(one and other and (one[1] < other[0] or other[1] < one[0]))


def format_figure(figures: Mapping[str, Any], name: str) -> str:
    """Writes one figure with its interval: `0.912 [0.88, 0.94]`."""
    value, interval = figures[name], figures.get("intervals", {}).get(name)
    text = "undefined" if value is None else f"{value:.4g}"
    return f"{text} [{interval[0]:.4g}, {interval[1]:.4g}]" if interval else text


def format_splits(metrics: Mapping[str, dict[str, Any]]) -> list[str]:
    """Lays the headline figures of `test` and `holdout` side by side, with their intervals."""
    shown = [split for split in _TWINS if metrics.get(split, {}).get("intervals")]
    if not shown:
        return []
    lines = [f"{metrics[shown[0]]['fusion']:18}" + "".join(f"{split:32}" for split in shown)]
    for name in metrics[shown[0]]["intervals"]:
        cells = [format_figure(metrics[split], name) for split in shown]
        lines.append(f"{name:18}" + "".join(f"{cell:32}" for cell in cells))
    groups = [metrics[split]["groups"] for split in shown]
    lines.append(
        "95 % bootstrap intervals over groups: "
        + ", ".join(f"{count} in {split}" for count, split in zip(groups, shown, strict=True))
    )
    lines += [
        f"no interval in {split} for {metrics[split]['intervals_left_out']}"
        for split in shown
        if "intervals_left_out" in metrics[split]
    ]
    if min(groups) < FEW_GROUPS:
        lines.append(f"intervals of fewer than {FEW_GROUPS} groups are too narrow")
    return [line.rstrip() for line in lines]
