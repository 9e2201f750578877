"""Figures of merit of all rows, computed once on the host from one prediction per image.

What goes in is looked at here; the figures themselves are those of `weighted_metrics` where every
row weighs one, so that a figure and its interval are of one formula. A figure that the rows do not
define (an AUROC of one class, a correlation with a constant) is None, which JSON writes as null and
the report as "undefined": never 0, never NaN.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, Real

from iqa_jax.analysis.late_fusion import most_probable
from iqa_jax.analysis.weighted_metrics import (
    Measure,
    binary_measures,
    class_measures,
    confusion_measure,
    decision_measures,
    mapped_measures,
    score_measures,
)

Metrics = dict[str, float | int | list[list[int]] | None]


def binary_metrics(
    scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"], threshold: float = 0.5
) -> Metrics:
    """Measures how well P(good) tells good images from bad ones.

    Args:
        scores: P(good) of each image, in [0, 1].
        labels: 0 for bad, 1 for good.
        threshold: an image whose score is at least this is called good.

    Returns:
        `n`, `n_good`, `auroc`, `auprc` (average precision of the good class), `accuracy`,
        `balanced_accuracy`, `f1` (of the good class), `log_loss` (nats), `ece` (expected
        calibration error) and `confusion` (see `decision_metrics`).

    Raises:
        ValueError: a score is no probability, a label is neither 0 nor 1, or lengths differ.
    """
    scores = _finite(scores, "score")
    _check_probabilities(scores, "score")
    labels = _class_labels(labels, 2, len(scores))
    return {
        "n": len(labels),
        "n_good": int(labels.sum()),
        **of_all_rows(binary_measures(scores, labels, threshold), len(labels)),
        "confusion": _confusion((scores >= threshold).astype(int), labels, 2),
    }


def class_metrics(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], is_ordered: bool
) -> Metrics:
    """Measures class probabilities: the figures of the answered class, log loss and calibration.

    Args:
        probabilities: one row per image, each summing to 1.
        labels: class indices in [0, k).
        is_ordered: whether the classes are grades, lowest quality first.

    Returns:
        What `decision_metrics` returns, `log_loss` (nats) and `ece` (expected calibration error).

    Raises:
        ValueError: a row is no distribution, a label is no class, or lengths differ.
    """
    probabilities = _finite(probabilities, "probability", ndim=2)
    _check_probabilities(probabilities, "probability")
    off = np.flatnonzero(np.abs(probabilities.sum(axis=1) - 1) > 1e-3)
    if len(off):
        raise ValueError(
            f"The probabilities of row {off[0]} sum to {probabilities[off[0]].sum():.4f}, not 1"
            f" ({len(off)} such rows)."
        )
    n_classes = probabilities.shape[1]
    labels = _class_labels(labels, n_classes, len(probabilities))
    return {
        "n": len(labels),
        **of_all_rows(class_measures(probabilities, labels, is_ordered), len(labels)),
        "confusion": _confusion(most_probable(probabilities), labels, n_classes),
    }


def decision_metrics(
    predicted: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    n_classes: int,
    is_ordered: bool,
) -> Metrics:
    """Measures decided classes, such as the three-class answer.

    The balanced accuracy averages over the classes that have rows, the macro F1 over those that
    have rows or predictions; both need rows of at least two classes to say anything.

    Args:
        predicted: class indices in [0, n_classes).
        labels: class indices in [0, n_classes).
        n_classes: how many classes there are, with rows or without.
        is_ordered: whether the classes are grades, lowest quality first.

    Returns:
        `n`, `accuracy`, `balanced_accuracy`, `macro_f1`, `confusion` (n_classes × n_classes
        counts, a row per true class and a column per predicted one) and, for grades,
        `quadratic_kappa` and `grade_mae` (mean absolute error in grades).

    Raises:
        ValueError: an index is no class, or lengths differ.
    """
    labels = _class_labels(labels, n_classes, len(predicted))
    predicted = _class_labels(predicted, n_classes, len(labels))
    measures = decision_measures(predicted, labels, n_classes, is_ordered)
    return {
        "n": len(labels),
        **of_all_rows(measures, len(labels)),
        "confusion": _confusion(predicted, labels, n_classes),
    }


def score_metrics(
    predictions: Real[np.ndarray, " n"],
    targets: Real[np.ndarray, " n"],
    std: Real[np.ndarray, " n"] | None = None,
) -> Metrics:
    """Measures predicted opinion scores against the given ones.

    Rank correlations average the ranks of ties; no mapping is fitted before any of these figures.

    Args:
        predictions: predicted scores, on the scale of the targets.
        targets: mean opinion scores.
        std: standard deviation of the single opinions, where it is known.

    Returns:
        `n`, `srcc` (Spearman), `krcc` (Kendall's tau-b), `plcc` (Pearson), `rmse` and `mae` (on
        the scale of the targets), and `outlier_ratio` (the share of predictions further than two
        standard deviations from the label; None without `std`).

    Raises:
        ValueError: a value is not finite, or lengths differ.
    """
    predictions = _finite(predictions, "prediction")
    targets = _finite(targets, "target")
    _check_lengths(len(predictions), len(targets))
    measures = score_measures(predictions, targets, std=std)
    figures = of_all_rows(measures, len(targets))
    return {"n": len(targets), **figures, "outlier_ratio": figures.get("outlier_ratio")}


def mapped_metrics(
    mapped: Float[np.ndarray, " n"], targets: Real[np.ndarray, " n"]
) -> dict[str, float | None]:
    """Measures predictions after a map that was fitted on other rows (see `logistic`).

    Args:
        mapped: mapped predictions.
        targets: mean opinion scores.

    Returns:
        `plcc_mapped` and `rmse_mapped`.

    Raises:
        ValueError: a value is not finite, or lengths differ.
    """
    mapped, targets = _finite(mapped, "mapped prediction"), _finite(targets, "target")
    _check_lengths(len(mapped), len(targets))
    return of_all_rows(mapped_measures(mapped, targets), len(targets))


def of_all_rows(measures: Mapping[str, Measure], rows: int) -> dict[str, float | None]:
    """Gives the figures of rows that all weigh one; None where they do not define one."""
    once = np.ones((rows, 1))
    found = {name: float(measure(once)[0]) for name, measure in measures.items()}
    return {name: value if np.isfinite(value) else None for name, value in found.items()}


def _confusion(predicted: np.ndarray, labels: np.ndarray, n_classes: int) -> list[list[int]]:
    once = np.ones((len(labels), 1))
    return confusion_measure(predicted, labels, n_classes)(once)[..., 0].astype(int).tolist()


def _finite(values, name: str, ndim: int = 1) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != ndim:
        raise ValueError(f"Expected {ndim} axes for each {name}, got shape {values.shape}.")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"The {name} in row {bad[0][0]} is {values[tuple(bad[0])]}"
            f" ({len(bad)} of {values.size} are not finite). A metric of such rows means nothing:"
            " find out why the model or the table gave them."
        )
    return values


def _check_probabilities(values: np.ndarray, name: str) -> None:
    outside = np.argwhere((values < 0) | (values > 1))
    if len(outside):
        raise ValueError(
            f"The {name} in row {outside[0][0]} is {values[tuple(outside[0])]:g}, not in [0, 1]:"
            " pass probabilities, not logits."
        )


def _class_labels(labels, n_classes: int, n: int) -> np.ndarray:
    labels = np.asarray(labels)
    _check_lengths(n, len(labels))
    outside = np.flatnonzero(~np.isin(labels, np.arange(n_classes)))
    if len(outside):
        raise ValueError(
            f"Row {outside[0]} has class {labels[outside[0]]}, which is not one of"
            f" 0 to {n_classes - 1}."
        )
    return labels.astype(int)


def _check_lengths(n_predictions: int, n_labels: int) -> None:
    if n_predictions != n_labels:
        raise ValueError(f"{n_predictions} predictions cannot be compared with {n_labels} labels.")
