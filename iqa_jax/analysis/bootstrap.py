"""Percentile bootstrap intervals, drawn over groups.

Photos of one scene are not independent, so groups are drawn with replacement and not rows: all
rows of a group weigh the same in a draw, as often as the group was drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from iqa_jax.analysis.weighted_metrics import Measure

DRAWS = 1000
# A bootstrap of fewer groups gives intervals that are too narrow.
FEW_GROUPS = 20
# Where fewer of the draws define a figure, those that do are no fair sample.
_DEFINED_SHARE = 0.9
# Kendall's tau takes SciPy this many rows in all draws together in about ten seconds.
_KRCC_ROWS = 20_000_000
# Weights drawn at once: few enough to stay in the processor's cache.
_BLOCK_WEIGHTS = 400_000

Interval = tuple[float, float] | None


def percentile_interval(drawn: Float[np.ndarray, " draw"]) -> Interval:
    """Gives the 95 % interval of a figure's draws; None where too many leave it undefined.

    Source:
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < max(_DEFINED_SHARE * len(drawn), 1):
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)


def group_intervals(
    measures: Mapping[str, Measure], groups: Shaped[np.ndarray, " row"]
) -> dict[str, Interval]:
    """Gives the interval of every measure over draws of groups.

    Args:
        measures: name -> measure of the rows.
        groups: the group of each row.

    Returns:
        Name -> (low, high); None where the draws leave it undefined, as one group alone does,
        which says nothing about others, and for those that `too_dear` names.
    """
    drawn = draw_figures(measures, groups)
    return {name: percentile_interval(row) for name, row in drawn.items()}


def draw_figures(
    measures: Mapping[str, Measure], groups: Shaped[np.ndarray, " row"]
) -> dict[str, Float[np.ndarray, " draw"]]:
    """Measures every draw of groups; the same groups give the same draws.

    Args:
        measures: name -> measure of the rows.
        groups: the group of each row.

    Returns:
        Name -> its figures, NaN where a draw does not define one.
    """
    names, group_of = np.unique(np.asarray(groups, str), return_inverse=True)
    found = {name: np.full(DRAWS, np.nan) for name in measures}
    if len(names) < 2:
        return found
    skipped, done = too_dear(measures, len(group_of)), 0
    for weights in draw_weights(len(names), len(group_of)):
        part, weights = slice(done, done + weights.shape[1]), weights[group_of]
        for name, measure in measures.items():
            if name not in skipped:
                found[name][part] = measure(weights)
        done = part.stop
    return found


def too_dear(measures: Mapping[str, Measure], rows: int) -> list[str]:
    """Names the measures that would take minutes to draw, and are not."""
    return ["krcc"] if "krcc" in measures and rows * DRAWS > _KRCC_ROWS else []


def draw_weights(groups: int, rows: int) -> Iterator[Float[np.ndarray, "group draw"]]:
    """Yields how often each group is drawn, in blocks of draws, `DRAWS` in all.

    Args:
        groups: how many are drawn, and drawn from.
        rows: that share the groups; they only decide how many draws come at once.
    """
    rng = np.random.default_rng(0)
    block = int(np.clip(_BLOCK_WEIGHTS // max(rows, groups, 1), 1, DRAWS))
    for start in range(0, DRAWS, block):
        draws = min(block, DRAWS - start)
        # Draw by draw, so that they do not depend on the size of a block.
        yield _count(rng.integers(groups, size=(draws, groups)).T, groups)


def _count(drawn: np.ndarray, units: int) -> Float[np.ndarray, "unit draw"]:
    draws = drawn.shape[1]
    cells = drawn * draws + np.arange(draws)
    counts = np.bincount(cells.ravel(), minlength=units * draws)
    return counts.reshape(units, draws).astype(np.float64)


def draw_split_means(
    splits: Sequence[Sequence[Measure]],
    groups: Sequence[Shaped[np.ndarray, " row"]],
    *,
    draws_splits: bool = True,
    draws_groups: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Float[np.ndarray, "measure draw"]:
    """Draws the mean of measures over splits that test some of the same images.

    Each draw takes splits with replacement, and groups with replacement: the same groups for every
    split and measure, so that an image tested in several splits is not taken for several images. A
    split whose drawn rows leave one of the measures undefined sits out that draw.

    Args:
        splits: of each split the same measures, of its own rows.
        groups: of each split the group of each row.
        draws_splits: False where the splits are what they are, such as folds that test every
            image once.
        draws_groups: False where each split tests one group, so that drawing splits does it.
        progress: called with the number of draws done.

    Returns:
        NaN where no drawn split defines the measures, or one group is all there is.
    """
    names = np.unique(np.concatenate([np.asarray(part, str) for part in groups]))
    if len(names) < 2:
        return np.full((len(splits[0]), DRAWS), np.nan)
    group_of = [np.searchsorted(names, np.asarray(part, str)) for part in groups]
    rng, means, done = np.random.default_rng(1), [], 0
    for weights in draw_weights(len(names), max(map(len, group_of))):
        draws = weights.shape[1]
        if not draws_groups:
            weights = np.ones_like(weights)
        times = np.ones((len(splits), draws))
        if draws_splits:
            times = _count(rng.integers(len(splits), size=times.T.shape).T, len(splits))
        total, counted = np.zeros((len(splits[0]), draws)), np.zeros(draws)
        for measures, rows, often in zip(splits, group_of, times, strict=True):
            found = np.array([measure(weights[rows]) for measure in measures])
            is_counted = np.isfinite(found).all(axis=0)
            total += np.where(is_counted, found, 0) * often
            counted += is_counted * often
        means.append(np.divide(total, counted, out=np.full(total.shape, np.nan), where=counted > 0))
        done += draws
        progress(done)
    return np.concatenate(means, axis=1)
