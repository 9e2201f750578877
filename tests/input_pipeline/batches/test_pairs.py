"""A batch of compared pairs holds both images of each, whatever its size."""

import numpy as np
import pandas as pd

from input_pipeline.batches.pairs import pair_batches


def batches_of_pairs(batch_size):
    pairs = pd.DataFrame({"first": [4, 9, 2], "second": [9, 2, 4], "preference": [1.0, 0.5, 0.0]})
    return pair_batches(
        lambda example, rng: {"image_id": np.int32([2, 4, 9][example]), "draw": rng.random()},
        {2: 0, 4: 1, 9: 2},
        pairs,
        batch_size=batch_size,
        seed=0,
        threads=1,
    )


def test_a_batch_holds_both_images_of_each_pair():
    batch = next(batches_of_pairs(6))
    grades = {(4, 9): (2, 0), (9, 2): (1, 1), (2, 4): (0, 2)}
    found = {}
    for group in range(3):
        rows = batch["label"][:, 0] == group
        assert rows.sum() == 2
        found[tuple(batch["image_id"][rows])] = tuple(batch["label"][rows, 1])
    assert found == grades
    assert len(set(batch["draw"])) == 6


def test_a_batch_of_one_pair_is_a_part_of_a_larger_one():
    iterator, larger = batches_of_pairs(2), next(batches_of_pairs(6))
    for first in (0, 2, 4):
        batch = next(iterator)
        for name in ("image_id", "draw"):
            np.testing.assert_array_equal(batch[name], larger[name][first : first + 2])
        np.testing.assert_array_equal(batch["label"][:, 0], 0)
        np.testing.assert_array_equal(batch["label"][:, 1], larger["label"][first : first + 2, 1])
