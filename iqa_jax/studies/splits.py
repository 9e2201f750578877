"""Draws the splits of a protocol, and refuses those that leak."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from input_pipeline.checks.leaks import find_leaks, format_leaks, identify_images
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.splits import assign_splits, leave_groups_out
from input_pipeline.tiles.sources import TileSource
from iqa_jax.run.seen import FITTED_SPLITS
from iqa_jax.training.training_error import TrainingError


def draw_splits(
    images: pd.DataFrame, kind: str, *, splits: int, fractions: Sequence[float], seed: int
) -> Iterator[Shaped[np.ndarray, " image"]]:
    """Yields, for every split of the protocol, where each image is: train, val or test.

    Args:
        images: of the manifest.
        kind: of protocol.
        splits: draws, or folds.
        fractions: of train, val and test.
        seed: of the first split; that of each other one is 1 more.

    Raises:
        TrainingError: there are too few groups.
    """
    labels, groups = images["label"].to_numpy(), images["group"].to_numpy()
    train, val, test = fractions

    def assign(rows: np.ndarray, shares: Mapping[str, float], seed: int) -> np.ndarray:
        shares = {name: share for name, share in shares.items() if share}
        shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        try:
            return assign_splits(labels[rows], groups[rows], shares, seed)
        except ValueError as error:
            raise TrainingError(f"the splits cannot be drawn: {error}") from error

    def hold_out(is_test: np.ndarray, seed: int) -> np.ndarray:
        split = np.full(len(labels), "test", object)
        split[~is_test] = assign(~is_test, {"train": train, "val": val}, seed)
        return split

    everything = np.ones(len(labels), bool)
    if kind == "k_fold":
        folds = {str(number): 1.0 for number in range(splits)}
        fold_of = assign(everything, folds, seed)
        for number, fold in enumerate(folds):
            yield hold_out(fold_of == fold, seed + number)
    elif kind == "leave_one_group_out":
        try:
            for number, (_, is_test) in enumerate(leave_groups_out(groups, 1)):
                yield hold_out(is_test, seed + number)
        except ValueError as error:
            raise TrainingError(f"the splits cannot be drawn: {error}") from error
    elif kind == "cross_dataset":
        for number in range(splits):
            yield hold_out(~everything, seed + number)
    else:
        shares = {"train": train, "val": val, "test": test}
        for number in range(splits):
            yield assign(everything, shares, seed + number)


def refuse_leaks(
    whole: Manifest,
    source: TileSource,
    splits: Sequence[np.ndarray],
    before: pd.DataFrame,
    tested: tuple[Manifest, TileSource] | None,
) -> None:
    """Makes sure that nothing a split is tested on trains it or chooses its checkpoint.

    Args:
        whole, source: the manifest that splits are drawn from, and its images.
        splits: where each of its images is.
        before: what trained the encoder that the runs start from, as `images_seen_before`.
        tested: another manifest and its images, where that is what is tested on.

    Raises:
        TrainingError: something is, with what and where.
    """
    known = identify_images(whole, source)
    other = identify_images(*tested) if tested else None
    for number, split in enumerate(splits):
        trained = pd.concat([known[np.isin(split, FITTED_SPLITS)], before])
        leaks = find_leaks(trained, known[split == "test"] if other is None else other)
        if leaks:
            raise TrainingError(
                f"split {number} leaks, and no figure is given:\n{format_leaks(leaks)}"
                "\nGive images of one scene or source one group, and groups of two data sets that "
                "share images different names; keep one of equal files, and take no encoder "
                "(model.weights) that was trained on what is tested."
            )
