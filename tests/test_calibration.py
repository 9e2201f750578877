"""Calibration errors by hand, and a temperature that is found again."""

import numpy as np
import pytest

from iqa_jax.analysis.calibration import (
    BINS,
    HIGHEST_TEMPERATURE,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    reliability_table,
)


def make_answers(classes: int, temperature: float, rows: int = 20_000):
    """Probabilities whose logits were multiplied by a temperature after labels were drawn."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=1.5, size=(rows, classes))
    true = apply_temperature(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 1.0)
    labels = (rng.uniform(size=(rows, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return apply_temperature(true, 1 / temperature), np.minimum(labels, classes - 1)


def test_ece_by_hand():
    # Two bins: three answers of confidence 0.9, two right; one of 0.6, wrong.
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    labels = np.array([1, 0, 0, 0])
    expected = 3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * abs(0 - 0.6)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)
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
    assert expected_calibration_error(np.zeros((0, 2)), np.zeros(0, int)) is None


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(classes, temperature):
    probabilities, labels = make_answers(classes, temperature)
    found = fit_temperature(probabilities, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    scaled = apply_temperature(probabilities, found)
    after = expected_calibration_error(scaled, labels)
    # What is left is the chance of 20,000 draws.
    assert after < 0.015
    if temperature != 1:
        assert after < expected_calibration_error(probabilities, labels) / 3
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_votes_of_0_and_1_stay_finite():
    probabilities, labels = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), np.array([1, 0, 0])
    found = fit_temperature(probabilities, labels)
    assert 1 < found <= HIGHEST_TEMPERATURE
    assert np.isfinite(apply_temperature(probabilities, found)).all()


def test_one_class_fixes_no_temperature():
    assert fit_temperature(np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([1, 1])) is None
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, int)) is None
