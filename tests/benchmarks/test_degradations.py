"""Figures of scores that fall, and of scores that do not."""

import numpy as np
import pytest

from benchmarks.degradations import figures_of, pair_accuracy


def test_pairs_count_where_the_worse_one_scores_lower():
    assert pair_accuracy([[4, 3, 2, 1], [9, 8, 7, 6]]) == 1
    # Of six pairs of the second, 5 > 5 is none, and 1 is not above 2.
    assert pair_accuracy([[4, 3, 2, 1], [5, 5, 1, 2]]) == pytest.approx((6 + 4) / 12)


def test_every_kind_has_its_share_of_pairs_and_its_means():
    scores = {"jpeg": np.array([[60.0, 50, 40, 30], [80, 70, 60, 50]]), "blur": np.ones((1, 4))}
    assert figures_of(scores) == {
        "jpeg": {"pair_accuracy": 1.0, "mean_scores": [70.0, 60.0, 50.0, 40.0]},
        "blur": {"pair_accuracy": 0.0, "mean_scores": [1.0, 1.0, 1.0, 1.0]},
    }
