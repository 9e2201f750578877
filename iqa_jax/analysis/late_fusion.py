"""Image answers from tile answers, outside the network, and the three-class answer.

Every function takes any leading axes, so one image is [tile, k] and a batch [batch, tile, k].
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int


def mean_score(
    tile_probabilities: Float[np.ndarray, "*batch tile k"],
    tile_mask: Bool[np.ndarray, "*batch tile"],
    prior: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "*batch k"]:
    """Averages the tiles' probabilities, or their scores on a numeric scale (k = 1).

    Args:
        tile_probabilities: the answer of each tile.
        tile_mask: False = padding, whose answer is never looked at.
        prior: the answer for an image without tiles.

    Returns:
        The answer for each image, float64.
    """
    tile_mask = np.asarray(tile_mask)[..., None]
    total = np.where(tile_mask, tile_probabilities, 0.0).sum(axis=-2, dtype=np.float64)
    n_tiles = tile_mask.sum(axis=-2)
    return np.where(n_tiles > 0, total / np.maximum(n_tiles, 1), prior)


def most_probable(
    probabilities: Float[np.ndarray, "*batch k"],
) -> Int[np.ndarray, "*batch"]:
    """Decides for the most probable class, and between equals for the last of them.

    With (bad, good) this is good from P(good) = 0.5 on.

    Args:
        probabilities: class probabilities.

    Returns:
        Class indices.
    """
    # An array for one image too, of which NumPy would give a scalar.
    return np.asarray(probabilities.shape[-1] - 1 - probabilities[..., ::-1].argmax(axis=-1))


def vote(
    tile_probabilities: Float[np.ndarray, "*batch tile k"],
    tile_mask: Bool[np.ndarray, "*batch tile"],
    prior: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "*batch k"]:
    """Gives each class the fraction of tiles that find it the most probable.

    Tiles vote as `most_probable` decides, so that with (bad, good) the fraction of good is that of
    tiles with P(good) ≥ 0.5.

    Args:
        tile_probabilities: the class probabilities of each tile.
        tile_mask: False = padding, which has no vote.
        prior: the answer for an image without tiles.

    Returns:
        The share of votes of each class for each image, float64.

    Raises:
        ValueError: there are no classes to vote for (k < 2).
    """
    n_classes = np.shape(tile_probabilities)[-1]
    if n_classes < 2:
        raise ValueError(
            "A vote needs at least two classes: fuse tile scores on a numeric scale by mean_score."
        )
    return mean_score(np.eye(n_classes)[most_probable(tile_probabilities)], tile_mask, prior)


LATE_FUSIONS: dict[str, Callable] = {"vote": vote, "mean_score": mean_score}


def fit_thresholds(
    scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]
) -> tuple[float, float]:
    """Finds the two cuts of P(good) whose three-class answer has the best balanced accuracy.

    The balanced accuracy (the mean recall of bad, marginal and good) is chosen because marginal
    images are few, and plain accuracy would gladly never answer "marginal". The search is exact:
    every pair of cuts between neighbouring scores is considered, in O(n log n), in integers. Of
    equally good pairs the one with the lowest `high`, then the lowest `low`, is taken. Without
    marginal rows both thresholds are the best cut between bad and good.

    Args:
        scores: P(good) in [0, 1] of validation images.
        labels: 0 for bad, 1 for marginal, 2 for good.

    Returns:
        `low` ≤ `high`, for `three_class`; `low` = 0 never answers bad, a `high` just above 1
        never answers good.

    Raises:
        ValueError: there are no bad or no good rows, a score is no probability, or a label is
            none of the three.
    """
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"{scores.shape} scores cannot be matched with {labels.shape} labels.")
    if not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("Thresholds are fitted on probabilities: a score is not in [0, 1].")
    if not np.isin(labels, (0, 1, 2)).all():
        raise ValueError("Labels must be 0 (bad), 1 (marginal) or 2 (good).")
    n_bad, n_marginal, n_good = (int((labels == label).sum()) for label in range(3))
    if not n_bad or not n_good:
        raise ValueError(
            f"The thresholds need bad and good rows to be fitted on: there are {n_bad} bad and"
            f" {n_good} good ones."
        )
    # below[label, cut] counts the rows under each cut; equal scores can only be cut together.
    values, where = np.unique(scores, return_inverse=True)
    below = np.zeros((3, len(values) + 1), dtype=np.int64)
    np.add.at(below, (labels, where + 1), 1)
    bad, marginal, good = below.cumsum(axis=1)
    if n_marginal:
        # The three recalls times n_bad·n_marginal·n_good, split into the part of each cut.
        low_part = n_good * (n_marginal * bad - n_bad * marginal)
        high_part = n_bad * (n_good * marginal + n_marginal * (n_good - good))
        high = int(np.argmax(np.maximum.accumulate(low_part) + high_part))
        low = int(np.argmax(low_part[: high + 1]))
    else:
        low = high = int(np.argmax(n_good * bad + n_bad * (n_good - good)))
    return _threshold(values, low), _threshold(values, high)


def _threshold(values: np.ndarray, cut: int) -> float:
    if cut == 0:
        return 0.0
    if cut == len(values):
        return float(np.nextafter(1.0, 2.0))
    middle = (values[cut - 1] + values[cut]) / 2
    # Between neighbouring floats the middle rounds onto one of them.
    return float(middle if middle > values[cut - 1] else values[cut])


def three_class(scores: Float[np.ndarray, " n"], low: float, high: float) -> Int[np.ndarray, " n"]:
    """Answers bad, marginal or good from P(good).

    Args:
        scores: P(good) in [0, 1].
        low: scores below are bad.
        high: scores of at least this are good.

    Returns:
        0 for bad, 1 for marginal, 2 for good.

    Raises:
        ValueError: `low` exceeds `high`.
    """
    if low > high:
        raise ValueError(f"The lower threshold {low:g} exceeds the upper one {high:g}.")
    scores = np.asarray(scores, dtype=np.float64)
    return (scores >= low).astype(int) + (scores >= high)
