"""Pair accuracy: planted orders, ties, and draws of groups."""

import numpy as np
import pytest

from iqa_jax.analysis.bootstrap import group_intervals
from iqa_jax.analysis.pair_metrics import pair_accuracy, pair_measure

PAIRS = np.array([[0, 1], [1, 2], [0, 2], [3, 4]])


def test_counts_pairs_in_the_right_order():
    assert pair_accuracy(np.array([3, 2, 1, 5, 4]), PAIRS) == 1
    assert pair_accuracy(np.array([1, 2, 3, 4, 5]), PAIRS) == 0
    assert pair_accuracy(np.array([3, 2, 2.5, 0, 1]), PAIRS) == 0.5
    # Equal scores are half right, so a constant has what chance has.
    assert pair_accuracy(np.array([7, 7, 7, 7, 7]), PAIRS) == 0.5
    assert pair_accuracy(np.array([3, 2, 2, 5, 4]), PAIRS) == (1 + 0.5 + 1 + 1) / 4


def test_no_pairs_no_figure():
    assert pair_accuracy(np.array([1.0, 2.0]), np.zeros((0, 2), int)) is None
    measure = pair_measure(np.array([1.0, 2.0]), np.zeros((0, 2), int))
    assert group_intervals({"p": measure}, np.array(["a", "b"]))["p"] is None


def test_a_draw_weighs_the_pairs_of_its_groups():
    measure = pair_measure(np.array([3, 2, 1, 0, 1]), PAIRS)
    weights = np.array([[1.0, 2, 0], [1, 2, 0], [1, 2, 0], [1, 1, 3], [1, 1, 3]])
    np.testing.assert_allclose(measure(weights), [3 / 4, 6 / 7, 0])
    low, high = group_intervals({"p": measure}, np.array(["a", "a", "a", "b", "b"]))["p"]
    assert low == pytest.approx(0) and high == pytest.approx(1)
