"""Draws splits of rows so that groups stay together and labels stay balanced.

scikit-learn's StratifiedGroupKFold makes folds of equal size only, and a fold of 15 % needs about
twenty groups before merging folds gives it; a few scenes are what people have. So the draw here
is a greedy one: groups, large ones first and otherwise in random order, go where they bring the
counts per label nearest to their targets.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Int, Num, Shaped

from input_pipeline.extras import extra

_NUMERIC_BINS = 5


def assign_splits(
    labels: Num[np.ndarray, " row"],
    groups: Shaped[np.ndarray, " row"],
    fractions: Mapping[str, float],
    seed: int,
) -> Shaped[np.ndarray, " row"]:
    """Gives every row the name of a split, keeping groups whole and labels balanced.

    The order of the rows has no influence.

    Args:
        labels: class indices (integers, -1 counts as a class) or scores (floats, balanced by
            quantile).
        groups: names; rows of one group get the same split.
        fractions: name of a split -> its share of the rows, above 0; the shares sum to 1.
        seed: seed of the order in which groups are placed.

    Returns:
        The split of each row; every split holds at least one group.

    Raises:
        ValueError: the fractions do not sum to 1, or there are fewer groups than splits.
    """
    names = list(fractions)
    shares = np.array([fractions[name] for name in names], np.float64)
    if not names or not np.all(shares > 0) or not np.isclose(shares.sum(), 1.0):
        raise ValueError(f"the split fractions must be above 0 and sum to 1, not {dict(fractions)}")
    unique_groups, group_index = np.unique(np.asarray(groups, str), return_inverse=True)
    if len(unique_groups) < len(names):
        raise ValueError(
            f"{len(unique_groups)} groups cannot fill the {len(names)} splits "
            f"{', '.join(names)}: add images of other groups, or ask for fewer splits"
        )

    strata = _bin_by_quantile(labels) if np.issubdtype(labels.dtype, np.floating) else labels
    unique_strata, stratum_index = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(unique_groups), len(unique_strata)), np.int64)
    np.add.at(counts, (group_index, stratum_index), 1)
    return np.array(names)[_place_groups(counts, shares, seed)[group_index]]


def leave_groups_out(
    groups: Shaped[np.ndarray, " row"], count: int
) -> Iterator[tuple[Bool[np.ndarray, " row"], Bool[np.ndarray, " row"]]]:
    """Yields (train, test) masks for every choice of `count` groups to test on.

    Args:
        groups: names, one per row.
        count: how many groups each test set holds; there must be more groups than that.

    Raises:
        ValueError: there are not more than `count` groups.
    """
    with extra("train"):
        from sklearn.model_selection import LeavePGroupsOut
    groups = np.asarray(groups, str)
    found = len(np.unique(groups))
    if not 0 < count < found:
        raise ValueError(
            f"cannot leave {count} of {found} groups out: some must remain on each side"
        )
    for _, test_rows in LeavePGroupsOut(count).split(groups, groups=groups):
        is_test = np.zeros(len(groups), bool)
        is_test[test_rows] = True
        yield ~is_test, is_test


def _bin_by_quantile(scores: Num[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    edges = np.quantile(scores, np.linspace(0, 1, _NUMERIC_BINS + 1)[1:-1])
    return np.searchsorted(edges, scores, side="right")


def _place_groups(
    counts: Int[np.ndarray, "group stratum"], shares: Num[np.ndarray, " split"], seed: int
) -> Int[np.ndarray, " group"]:
    """Places groups one after the other where they best fill the splits' targets."""
    targets = shares[:, None] * counts.sum(axis=0)
    filled = np.zeros_like(targets)
    placed = np.full(len(counts), -1)
    order = np.random.default_rng(seed).permutation(len(counts))
    # Large groups go first, for small ones can level out what they leave. Sizes are compared by
    # powers of two only, so that another seed gives another split of unequal groups too.
    size_class = np.floor(np.log2(counts.sum(axis=1)))
    order = order[np.argsort(-size_class[order], kind="stable")]
    for turn, group in enumerate(order):
        # Growth of the squared miss, relative to the target, if the group went to each split.
        misses = filled - targets
        growth = ((misses + counts[group]) ** 2 - misses**2) / targets
        cost = growth.sum(axis=1)
        is_empty = filled.sum(axis=1) == 0
        if len(order) - turn <= is_empty.sum():
            cost[~is_empty] = np.inf
        split = np.argmin(cost)
        placed[group] = split
        filled[split] += counts[group]
    return placed
