"""Calibration errors by hand."""

import numpy as np
import pytest

from iqa_jax.analysis.calibration import BINS, reliability_table
from iqa_jax.analysis.metrics import class_metrics


def test_ece_by_hand():
    # Two bins: three answers of confidence 0.9, two right; one of 0.6, wrong.
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    labels = np.array([1, 0, 0, 0])
    expected = 3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * abs(0 - 0.6)
    assert class_metrics(probabilities, labels, True)["ece"] == pytest.approx(expected)
    table = reliability_table(probabilities, labels)
    assert len(table) == BINS and sum(row.count for row in table) == 4
    (low, high) = (row for row in table if row.count)
    assert (low.count, low.confidence, low.accuracy) == (1, pytest.approx(0.6), 0.0)
    assert (high.count, high.confidence, high.accuracy) == (3, pytest.approx(0.9), 2 / 3)
    assert low.low < 0.6 <= low.high and high.low < 0.9 <= high.high
    assert all(row.accuracy is row.confidence is None for row in table if not row.count)


def test_the_ends_of_confidence_are_in_bins():
    table = reliability_table(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 1]))
    assert (table[-1].count, table[-1].accuracy) == (2, 0.5)
