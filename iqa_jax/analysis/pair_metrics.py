"""How often the better of two images has the higher score."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real

from iqa_jax.analysis.metrics import of_all_rows
from iqa_jax.analysis.weighted_metrics import Measure, weighted_mean


def pair_accuracy(
    scores: Real[np.ndarray, " row"], pairs: Int[np.ndarray, "pair 2"]
) -> float | None:
    """Gives the share of pairs in the right order; equal scores are half right.

    Args:
        scores: higher is better.
        pairs: rows of the better and of the worse image.

    Returns:
        None without pairs. A constant score has 0.5.
    """
    return of_all_rows({"pair_accuracy": pair_measure(scores, pairs)}, len(scores))["pair_accuracy"]


def pair_measure(scores: Real[np.ndarray, " row"], pairs: Int[np.ndarray, "pair 2"]) -> Measure:
    """Gives the measure of `pair_accuracy`. Both images of a pair are of one bootstrap group."""
    mean = weighted_mean(_outcomes(scores, pairs))
    return lambda weights: mean(weights[pairs[:, 0]])


def _outcomes(scores: Any, pairs: Any) -> Float[np.ndarray, " pair"]:
    better, worse = np.asarray(scores)[pairs].T
    return (1 + np.sign(better - worse)) / 2
