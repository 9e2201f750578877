"""Figures of merit, for many weightings of the same rows at once; `metrics` has those of weight 1.

A bootstrap draw is a weighting: a row drawn twice weighs 2, a row not drawn 0. What depends on
values alone (the order of the rows, ties, losses) is worked out once; each draw then costs sums.
Every measure equals the figure of the rows repeated by their weights. Arguments were looked at
before, as `metrics` does.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Real
from scipy import stats

from iqa_jax.analysis.calibration import bin_of, judge_answers
from iqa_jax.analysis.late_fusion import most_probable

Weights = Num[np.ndarray, "row draw"]
# Weights -> the figure of every draw, NaN where its rows do not define it.
Measure = Callable[[Weights], Float[np.ndarray, " draw"]]

# scikit-learn's log loss keeps probabilities this far from 0 and 1.
_TINY = np.finfo(np.float64).eps
# Up to so many rows Kendall's tau of many draws is quicker from a matrix of all pairs than by
# sorting each draw.
_PAIRWISE_ROWS = 2000


def binary_measures(
    scores: Float[np.ndarray, " row"], labels: Int[np.ndarray, " row"], threshold: float = 0.5
) -> dict[str, Measure]:
    """Gives the measures of how well P(good) tells good images from bad ones.

    Args:
        scores: P(good), in [0, 1].
        labels: 0 for bad, 1 for good.
        threshold: scores from here on are called good.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, int)
    order, is_good = _Ties(scores), (labels == 1).astype(np.float64)[:, None]
    predicted = (scores >= threshold).astype(int)
    decided = decision_measures(predicted, labels, 2, is_ordered=False)
    confusion_of = confusion_measure(predicted, labels, 2)

    def masses(weights):
        good = order.mass(weights * is_good)
        return good, order.mass(weights) - good

    def auroc(weights):
        good, bad = masses(weights)
        below = np.cumsum(bad, axis=0) - bad / 2
        return _divide((good * below).sum(axis=0), good.sum(axis=0) * bad.sum(axis=0))

    def auprc(weights):
        good, bad = (mass[::-1] for mass in masses(weights))
        found = np.cumsum(good, axis=0)
        precision = np.divide(
            found, found + np.cumsum(bad, axis=0), out=np.zeros_like(good), where=found > 0
        )
        n_good = np.where(bad.sum(axis=0) > 0, good.sum(axis=0), 0)
        return _divide((good * precision).sum(axis=0), n_good)

    def f1(weights):
        confusion = confusion_of(weights)
        hits = 2 * confusion[1, 1]
        return _divide(hits, hits + confusion[0, 1] + confusion[1, 0])

    probabilities = np.stack([1 - scores, scores], axis=1)
    return {
        "auroc": auroc,
        "auprc": auprc,
        "accuracy": decided["accuracy"],
        "balanced_accuracy": decided["balanced_accuracy"],
        "f1": f1,
        "log_loss": _log_loss(probabilities, labels),
        "ece": _calibration_error(probabilities, labels),
    }


def class_measures(
    probabilities: Float[np.ndarray, "row k"], labels: Int[np.ndarray, " row"], is_ordered: bool
) -> dict[str, Measure]:
    """Gives the measures of class probabilities.

    Args:
        probabilities: one row per image, each summing to 1.
        labels: class indices in [0, k).
        is_ordered: whether the classes are grades, lowest quality first.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, int)
    n_classes = probabilities.shape[1]
    return decision_measures(most_probable(probabilities), labels, n_classes, is_ordered) | {
        "log_loss": _log_loss(probabilities / probabilities.sum(axis=1, keepdims=True), labels),
        "ece": _calibration_error(probabilities, labels),
    }


def decision_measures(
    predicted: Int[np.ndarray, " row"],
    labels: Int[np.ndarray, " row"],
    n_classes: int,
    is_ordered: bool,
) -> dict[str, Measure]:
    """Gives the measures of decided classes.

    The balanced accuracy averages over the classes that have rows, the macro F1 over those that
    have rows or predictions; both need rows of at least two classes to say anything.

    Args:
        predicted: class indices in [0, n_classes).
        labels: class indices in [0, n_classes).
        n_classes: how many classes there are, with rows or without.
        is_ordered: whether the classes are grades, lowest quality first.

    Source:
        Cohen 1968, "Weighted kappa", with weights (i − j)².
    """
    apart = np.subtract.outer(np.arange(n_classes), np.arange(n_classes))[..., None]
    confusion_of = confusion_measure(predicted, labels, n_classes)

    def comparable(weights):
        """Gives the confusion, its sums per true and per called class, and where to look."""
        confusion = confusion_of(weights)
        true, called = confusion.sum(axis=1), confusion.sum(axis=0)
        return confusion, true, called, (true > 0).sum(axis=0) >= 2

    def balanced_accuracy(weights):
        confusion, true, _, is_comparable = comparable(weights)
        recall = _divide(np.einsum("kkd->kd", confusion), true)
        return np.where(is_comparable, _mean_of_defined(recall), np.nan)

    def macro_f1(weights):
        confusion, true, called, is_comparable = comparable(weights)
        scores = _divide(2 * np.einsum("kkd->kd", confusion), true + called)
        return np.where(is_comparable, _mean_of_defined(scores), np.nan)

    def quadratic_kappa(weights):
        confusion, true, called, is_comparable = comparable(weights)
        seen = (apart**2 * confusion).sum(axis=(0, 1))
        chance = (apart**2 * true[:, None] * called[None]).sum(axis=(0, 1))
        return np.where(is_comparable, 1 - _divide(seen * true.sum(axis=0), chance), np.nan)

    measures = {
        "accuracy": weighted_mean(predicted == labels),
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
    }
    if is_ordered:
        measures["quadratic_kappa"] = quadratic_kappa
        measures["grade_mae"] = weighted_mean(np.abs(predicted - labels))
    return measures


def score_measures(
    predictions: Real[np.ndarray, " row"],
    targets: Real[np.ndarray, " row"],
    *,
    mapped: Float[np.ndarray, " row"] | None = None,
    std: Real[np.ndarray, " row"] | None = None,
) -> dict[str, Measure]:
    """Gives the measures of opinion scores, and of mapped predictions and outliers where given.

    Args:
        predictions: on the scale of the targets.
        targets: mean opinion scores.
        mapped: predictions after a map that was fitted on other rows.
        std: standard deviation of the opinions of each row.
    """
    predictions, targets = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    error, ties, target_ties = predictions - targets, _Ties(predictions), _Ties(targets)

    def srcc(weights):
        ranks, target_ranks = ties.midranks(weights), target_ties.midranks(weights)
        return _correlation(ranks, target_ranks, weights, varies(weights))

    def varies(weights):
        return ties.is_several(weights) & target_ties.is_several(weights)

    def krcc(weights):
        if len(error) > _PAIRWISE_ROWS or weights.shape[1] == 1:
            return _krcc_one_by_one(predictions, targets, weights, varies(weights))
        # Exact in float32: these are whole numbers below 2**24.
        surplus = (weights * (agreement() @ weights.astype(np.float32))).sum(axis=0)
        untied = ties.untied_pairs(weights) * target_ties.untied_pairs(weights)
        return np.where(varies(weights), _divide(surplus / 2, np.sqrt(untied)), np.nan)

    @cache
    def agreement():
        """Gives +1 for pairs of rows in the same order, -1 in the opposite, 0 for ties."""
        order = np.sign(np.subtract.outer(predictions, predictions)).astype(np.float32)
        return order * np.sign(np.subtract.outer(targets, targets)).astype(np.float32)

    measures = {
        "srcc": srcc,
        "krcc": krcc,
        "plcc": lambda weights: _correlation(
            predictions[:, None], targets[:, None], weights, varies(weights)
        ),
        "rmse": _root_mean(error**2),
        "mae": weighted_mean(np.abs(error)),
    }
    if mapped is not None:
        measures |= mapped_measures(mapped, targets)
    if std is not None:
        measures["outlier_ratio"] = weighted_mean(np.abs(error) > 2 * std)
    return measures


def mapped_measures(
    mapped: Float[np.ndarray, " row"], targets: Real[np.ndarray, " row"]
) -> dict[str, Measure]:
    """Gives the measures of predictions after a map that was fitted on other rows.

    Args:
        mapped: mapped predictions.
        targets: mean opinion scores.
    """
    measures = score_measures(mapped, targets)
    return {f"{name}_mapped": measures[name] for name in ("plcc", "rmse")}


class _Ties:
    """Rows in the order of a value, equal ones in one block."""

    def __init__(self, values: Num[np.ndarray, " row"]):
        _, self._block, sizes = np.unique(values, return_inverse=True, return_counts=True)
        self._order = np.argsort(self._block, kind="stable")
        self._starts = np.cumsum(sizes) - sizes

    def mass(self, weights: Weights) -> Num[np.ndarray, "block draw"]:
        """Sums the weights of each block, lowest value first."""
        ordered = np.take(weights, self._order, axis=0)
        if len(self._starts) == len(ordered):
            return ordered
        return np.add.reduceat(ordered, self._starts, axis=0)

    def midranks(self, weights: Weights) -> Float[np.ndarray, "row draw"]:
        """Gives each row the mean rank that its repeats and their ties have."""
        mass = self.mass(weights)
        return np.take(np.cumsum(mass, axis=0) - (mass - 1) / 2, self._block, axis=0)

    def untied_pairs(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """Counts the pairs of repeated rows whose values differ."""
        mass = self.mass(weights)
        return (mass.sum(axis=0) ** 2 - (mass**2).sum(axis=0)) / 2

    def is_several(self, weights: Weights) -> np.ndarray:
        """Says of each draw whether it has rows of different values."""
        return (self.mass(weights) > 0).sum(axis=0) >= 2


def _krcc_one_by_one(predictions, targets, weights, is_defined) -> Float[np.ndarray, " draw"]:
    rows, found = np.arange(len(weights)), []
    for column, is_one in zip(weights.T, is_defined, strict=True):
        drawn = np.repeat(rows, column.astype(int)) if is_one else rows[:0]
        pair = predictions[drawn], targets[drawn]
        found.append(stats.kendalltau(*pair).statistic if is_one else np.nan)
    return np.array(found)


def _divide(numerator, denominator):
    return np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0
    )


def _mean_of_defined(values: Float[np.ndarray, "k draw"]) -> Float[np.ndarray, " draw"]:
    is_defined = np.isfinite(values)
    return _divide(np.where(is_defined, values, 0).sum(axis=0), is_defined.sum(axis=0))


def weighted_mean(values: Num[np.ndarray, " row"] | Bool[np.ndarray, " row"]) -> Measure:
    """Gives the measure of the mean of some values."""
    values = np.asarray(values, np.float64)
    return lambda weights: _divide(values @ weights, weights.sum(axis=0, dtype=np.float64))


def _root_mean(squares: Float[np.ndarray, " row"]) -> Measure:
    mean = weighted_mean(squares)
    return lambda weights: np.sqrt(mean(weights))


def confusion_measure(
    predicted: Int[np.ndarray, " row"], labels: Int[np.ndarray, " row"], n_classes: int
) -> Callable[[Weights], Float[np.ndarray, "true called draw"]]:
    """Gives what counts how often each class is called each class."""
    cells = labels * n_classes + predicted
    # Sums of sorted rows, not a matrix product: that waits for threads on a busy machine.
    ties, found = _Ties(cells), np.unique(cells)

    def confusion(weights):
        counts = np.zeros((n_classes**2, weights.shape[1]))
        counts[found] = ties.mass(weights)
        return counts.reshape(n_classes, n_classes, -1)

    return confusion


def _log_loss(probabilities, labels) -> Measure:
    own = probabilities[np.arange(len(labels)), labels]
    return weighted_mean(-np.log(np.clip(own, _TINY, 1 - _TINY)))


def _calibration_error(probabilities, labels) -> Measure:
    """Averages |accuracy − confidence| over the bins, weighted by their answers.

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3, with 15 bins.
    """
    confidence, is_right = judge_answers(probabilities, labels)
    ties, gaps = _Ties(bin_of(confidence)), (confidence - is_right)[:, None]
    return lambda weights: _divide(
        np.abs(ties.mass(weights * gaps)).sum(axis=0), weights.sum(axis=0, dtype=np.float64)
    )


def _correlation(x, y, weights, is_defined) -> Float[np.ndarray, " draw"]:
    """Correlates two columns per draw, or two for all draws, centred first for accuracy."""
    total = np.maximum(weights.sum(axis=0), 1)
    x = x - (weights * x).sum(axis=0) / total
    y = y - (weights * y).sum(axis=0) / total
    weighted = weights * x
    covariance, x_variance = (weighted * y).sum(axis=0), (weighted * x).sum(axis=0)
    y_variance = (weights * y * y).sum(axis=0)
    found = _divide(covariance, np.sqrt(x_variance * y_variance))
    return np.where(is_defined, np.clip(found, -1, 1), np.nan)
