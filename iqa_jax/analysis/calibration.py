"""Whether class probabilities mean what they say; `calibration_map` mends them.

Confidence is the probability of the answered class. An answer of confidence 0.8 should be right
four times in five.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from iqa_jax.analysis.late_fusion import most_probable

BINS = 15


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence is in (low, high].

    Attributes:
        low, high: of the bin.
        count: answers in it.
        confidence: their mean confidence; None in an empty bin.
        accuracy: the share of them that is right; None in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def judge_answers(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Gives the confidence of each answer, and whether it is right."""
    answers = most_probable(probabilities)
    return np.take_along_axis(probabilities, answers[:, None], axis=1)[:, 0], answers == labels


def bin_of(confidence: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Gives the number of the equal-width bin, open below and closed above, of each confidence."""
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    return np.searchsorted(edges, confidence, side="left")


def reliability_table(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> list[ReliabilityBin]:
    """Sets confidence against accuracy in `BINS` bins of equal width.

    Args:
        probabilities: one row per image, each summing to 1.
        labels: class indices in [0, k).

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    confidence, is_right = judge_answers(probabilities, labels)
    bins, edges = bin_of(confidence), np.linspace(0, 1, BINS + 1)
    table = []
    for number in range(BINS):
        inside = bins == number
        count = int(inside.sum())
        table.append(
            ReliabilityBin(
                float(edges[number]),
                float(edges[number + 1]),
                count,
                float(confidence[inside].mean()) if count else None,
                float(is_right[inside].mean()) if count else None,
            )
        )
    return table
