"""Split-conformal prediction: intervals and class sets that hold the truth as often as asked.

If calibration images and a new image are exchangeable, and nothing else was fitted on the
calibration images, the interval or set of the new image holds its label with at least the asked
probability, whatever the model. It is a promise about the average image, not about each kind.

Source:
    Vovk et al. 2005; Lei et al. 2018 (intervals, and scaled ones); Sadinle, Lei, Wasserman 2019
    (class sets of least ambiguity).
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int


def conformal_quantile(scores: Float[np.ndarray, " n"], coverage: float) -> float | None:
    """Gives the smallest calibration score that at least `coverage` of new scores stay within.

    Args:
        scores: how badly the answer fits the truth, one per calibration image.
        coverage: in (0, 1).

    Returns:
        The ⌈(n + 1) · coverage⌉-th smallest score; None if there are too few for that.
    """
    # A product such as 10 · 0.7 lies a rounding above the integer that it is.
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    if rank > len(scores):
        return None
    return float(np.sort(np.asarray(scores, np.float64))[rank - 1])


def rows_needed(coverage: float) -> int:
    """Gives the fewest calibration images that define the quantile."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def interval_scores(
    predictions: Float[np.ndarray, " n"],
    labels: Float[np.ndarray, " n"],
    widths: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Gives |prediction − label| / width.

    Args:
        predictions: on the scale of the labels.
        labels: what is true.
        widths: how unsure each prediction is, above 0; ones for intervals of one width.
    """
    return np.abs(np.asarray(predictions, np.float64) - labels) / widths


def class_scores(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Gives 1 − the probability of the true class."""
    probabilities = np.asarray(probabilities, np.float64)
    return 1 - probabilities[np.arange(len(labels)), labels]


def class_sets(
    probabilities: Float[np.ndarray, "*batch k"], quantile: float
) -> Bool[np.ndarray, "*batch k"]:
    """Tells which classes are in the set: those that would score at most the quantile.

    A set may hold several classes, and none where no class is probable enough.
    """
    return 1 - np.asarray(probabilities, np.float64) <= quantile
