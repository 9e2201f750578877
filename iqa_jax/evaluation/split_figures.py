"""What metrics.json says of one split besides plain figures: intervals, calibration, selection."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.bootstrap import FEW_GROUPS, group_intervals, too_dear
from iqa_jax.analysis.calibration import judge_answers, reliability_table
from iqa_jax.analysis.late_fusion import three_class
from iqa_jax.analysis.logistic import ScoreMap
from iqa_jax.analysis.metrics import class_metrics, decision_metrics, mapped_metrics
from iqa_jax.analysis.pair_metrics import pair_accuracy
from iqa_jax.analysis.selective import risk_coverage
from iqa_jax.analysis.weighted_metrics import decision_measures
from iqa_jax.evaluation.evaluation import Evaluation, grades_of
from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.fitted.confidence import uncertainty_of

_COVERAGE = 0.8
# Points of a curve that is drawn.
_POINTS = 100
# Splits that should tell the same, and are set side by side.
_TWINS = ("test", "holdout")


def describe_split(
    config: ml_collections.ConfigDict,
    evaluation: Evaluation,
    *,
    thresholds: tuple[float, float] | None = None,
    raw: Evaluation | None = None,
    score_maps: Mapping[str, ScoreMap] | None = None,
) -> dict[str, Any]:
    """Gives the metrics of a split, with what needs draws or something fitted elsewhere.

    Args:
      config: of the run.
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
    kind, metrics = kind_from_config(config), dict(evaluation.metrics)
    images = evaluation.images[evaluation.is_answered]
    groups, headline = images["group"].to_numpy(), metrics["fusion"]
    metrics["groups"] = int(images["group"].nunique())
    metrics["fusions"] = {
        fusion: _fusion_figures(
            config, evaluation, fusion, figures, images, (score_maps or {}).get(fusion)
        )
        for fusion, figures in metrics["fusions"].items()
    }
    metrics |= metrics["fusions"].get(headline, {})
    if not len(images):
        return metrics
    values, labels = evaluation.values(headline), images["label"].to_numpy()
    scores = kind.score_of(values)
    if kind.is_of_pairs:
        metrics["pair_accuracy_by_kind"] = {
            name: pair_accuracy(scores, rows[["better", "worse"]].to_numpy())
            for name, rows in evaluation.pairs.groupby("kind", sort=False)
            if name
        }
        return metrics
    if kind.has_scale:
        found = (score_maps or {}).get(headline)
        metrics["score_map"] = _describe_map(found, scores) if found else None
        unsure = [
            uncertainty_of(config, answer) for answer in evaluation.answers if not answer.error
        ]
        if None not in unsure:
            metrics["selective"] = _selective(
                np.array(unsure), np.abs(scores - labels), "standard deviation", "absolute error"
            )
        return metrics
    is_labelled = kind.is_labelled(labels)
    if is_labelled.any():
        confidence, is_right = judge_answers(values[is_labelled], labels[is_labelled])
        metrics["selective"] = _selective(
            1 - confidence, ~is_right, "1 - probability of the answer", "share of wrong answers"
        )
        metrics["calibration"] = _calibration(values[is_labelled], labels[is_labelled])
        if raw is not None:
            before = _calibration(raw.values(headline)[is_labelled], labels[is_labelled])
            metrics["calibration"] |= {f"{name}_raw": value for name, value in before.items()}
            metrics["calibration"]["fitted_on"] = "val"
    if thresholds:
        grades, answers = grades_of(evaluation), three_class(scores, *thresholds)
        metrics["three_class"] = decision_metrics(answers, grades, 3, is_ordered=True)
        measures = decision_measures(answers, grades, 3, is_ordered=True)
        metrics["three_class"]["intervals"] = group_intervals(measures, groups)
    return metrics


def _fusion_figures(config, evaluation, fusion, figures, images, score_map) -> dict[str, Any]:
    kind, values = kind_from_config(config), evaluation.values(fusion)
    labels, figures, known = images["label"].to_numpy(), dict(figures), {}
    if kind.has_scale:
        figures |= dict.fromkeys(("plcc_mapped", "rmse_mapped"))
        if score_map:
            known["mapped"] = score_map(kind.score_of(values))
            figures |= mapped_metrics(known["mapped"], labels)
        if config.data.label_std_column in images:
            known["std"] = images[config.data.label_std_column].to_numpy()
    measures = kind.measures(values, labels, pairs=evaluation.pairs, **known)
    figures["intervals"] = group_intervals(measures, images["group"].to_numpy())
    if skipped := too_dear(measures, len(images)):
        figures["intervals_left_out"] = (
            f"{', '.join(skipped)}: drawing it from {len(images)} rows would take minutes"
        )
    return figures


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
