"""Intervals and class sets hold the truth as often as they promise."""

import numpy as np
import pytest
from scipy.stats import betabinom

from iqa_jax.analysis.conformal import (
    class_scores,
    class_sets,
    conformal_quantile,
    interval_scores,
    rows_needed,
)

ROUNDS, CALIBRATION, NEW = 200, 60, 200


def assert_promised(covered: np.ndarray, level: float) -> None:
    """Checks a mean coverage over rounds against the exact law of split-conformal coverage."""
    rank = int(np.ceil((CALIBRATION + 1) * level - 1e-9))
    # Of NEW images after CALIBRATION others (Angelopoulos, Bates 2021, section 3.2).
    law = betabinom(NEW, rank, CALIBRATION + 1 - rank)
    error = law.std() / NEW / np.sqrt(len(covered))
    mean = np.mean(covered)
    assert abs(mean - law.mean() / NEW) < 4 * error, (mean, law.mean() / NEW, error)
    assert law.mean() / NEW >= level


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("is_scaled", [False, True])
def test_intervals_cover_as_promised(level, is_scaled):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(ROUNDS):
        hard = rng.uniform(0.2, 3, CALIBRATION + NEW)
        labels = rng.uniform(0, 100, CALIBRATION + NEW)
        # A biased predictor with heavy tails: the promise asks nothing of it.
        predictions = 0.8 * labels + 5 + hard * rng.standard_t(3, len(labels))
        widths = hard if is_scaled else np.ones_like(hard)
        scores = interval_scores(predictions, labels, widths)
        quantile = conformal_quantile(scores[:CALIBRATION], level)
        reach = quantile * widths[CALIBRATION:]
        new, truth = predictions[CALIBRATION:], labels[CALIBRATION:]
        covered.append(np.mean((new - reach <= truth) & (truth <= new + reach)))
    assert_promised(covered, level)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_class_sets_cover_as_promised(level):
    rng = np.random.default_rng(1)
    covered, sizes = [], []
    for _ in range(ROUNDS):
        truth = rng.integers(0, 3, CALIBRATION + NEW)
        logits = rng.normal(size=(len(truth), 3)) * 2
        logits[np.arange(len(truth)), truth] += 1.5
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        scores = class_scores(probabilities, truth)
        quantile = conformal_quantile(scores[:CALIBRATION], level)
        sets = class_sets(probabilities[CALIBRATION:], quantile)
        covered.append(sets[np.arange(NEW), truth[CALIBRATION:]].mean())
        sizes.append(sets.sum(axis=1))
    assert_promised(covered, level)
    # There is something to abstain from, and something not to.
    assert 0.1 < np.mean(np.concatenate(sizes) != 1) < 0.9


def test_scaled_intervals_serve_both_kinds_of_image():
    rng = np.random.default_rng(2)
    spreads = np.repeat([0.5, 4.0], 4000)
    errors = rng.normal(size=len(spreads)) * spreads
    shares = {}
    for name, widths in (("one", np.ones(len(spreads))), ("scaled", spreads)):
        scores = interval_scores(errors, np.zeros(len(errors)), widths)
        quantile = conformal_quantile(scores[::2], 0.9)
        covered = scores[1::2] <= quantile
        shares[name] = covered[:2000].mean(), covered[2000:].mean()
    assert np.ptp(shares["one"]) > 0.1
    assert np.ptp(shares["scaled"]) < 0.05


def test_the_quantile_is_the_ranked_score():
    scores = np.random.default_rng(3).permutation(np.arange(1.0, 10))
    # Ten places around nine scores.
    for coverage, score in ((0.1, 1), (0.5, 5), (0.7, 7), (0.71, 8), (0.9, 9)):
        assert conformal_quantile(scores, coverage) == score


@pytest.mark.parametrize("coverage", [0.5, 0.7, 0.9, 0.95, 0.99])
def test_too_few_rows_are_undefined(coverage):
    enough = rows_needed(coverage)
    assert conformal_quantile(np.zeros(enough), coverage) == 0
    assert conformal_quantile(np.zeros(enough - 1), coverage) is None


def test_a_set_holds_what_its_score_allows():
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.4, 0.35]])
    assert class_sets(probabilities, 0.5).tolist() == [[1, 1], [1, 0], [0, 0]]
