"""Batches of pairs that people have compared."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from input_pipeline.batches.bags import BagMaker
from input_pipeline.batches.rankings import grouped_batches
from input_pipeline.batches.worker_batches import Batches


def pair_batches(
    make_bag: BagMaker, examples: Mapping[int, int], pairs: pd.DataFrame, **order: Any
) -> Batches:
    """Makes the endless stream of batches of compared pairs, both images of each side by side.

    Args:
        make_bag: number of an example -> the bag of its image.
        examples: image_id -> number of its example.
        pairs: to learn from; both images have an example.
        **order: as in `grouped_batches`.

    Returns:
        An iterator over batches; the better image has the higher grade, and a tie equal ones.
    """
    ends = pairs[["first", "second"]].to_numpy()
    preference = pairs["preference"].to_numpy()

    def make_pair(number, rng):
        grades = np.array([preference[number], 1 - preference[number]]) * 2
        return [
            make_bag(examples[int(image)], rng) | {"label": np.int32(grade)}
            for image, grade in zip(ends[number], grades, strict=True)
        ]

    return grouped_batches(make_pair, len(pairs), 2, **order)
