"""Late fusion ignores padding, and the thresholds are the best that exhaustive search can find."""

import itertools

import numpy as np
import pytest

from iqa_jax.analysis.late_fusion import (
    LATE_FUSIONS,
    fit_thresholds,
    mean_score,
    three_class,
    vote,
)
from iqa_jax.analysis.metrics import decision_metrics

PRIOR = np.array([0.7, 0.3])


def two_class(good):
    return np.stack([1 - np.array(good), np.array(good)], axis=-1)


def test_fusions_by_hand():
    tiles, mask = two_class([0.9, 0.4, 0.2, 0.7]), np.ones(4, bool)
    np.testing.assert_allclose(vote(tiles, mask, PRIOR), [0.5, 0.5])
    np.testing.assert_allclose(mean_score(tiles, mask, PRIOR), [0.45, 0.55])
    np.testing.assert_allclose(mean_score(np.array([[3.0], [5.0]]), mask[:2], np.ones(1)), [4.0])


def test_a_torn_tile_votes_good():
    np.testing.assert_array_equal(vote(two_class([0.5]), np.ones(1, bool), PRIOR), [0, 1])


def test_votes_of_several_classes():
    tiles = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.4, 0.4]])
    np.testing.assert_allclose(vote(tiles, np.ones(3, bool), np.ones(3) / 3), [1 / 3, 0, 2 / 3])


@pytest.mark.parametrize("fuse", LATE_FUSIONS.values(), ids=LATE_FUSIONS)
def test_padding_order_and_batching_change_nothing(fuse):
    rng = np.random.default_rng(0)
    tiles = rng.dirichlet(np.ones(3), size=(4, 7))
    mask = rng.uniform(size=(4, 7)) < 0.6
    tiles[~mask] = np.nan
    prior = np.ones(3) / 3
    fused = fuse(tiles, mask, prior)
    for image in range(4):
        kept = rng.permutation(tiles[image][mask[image]])
        alone = fuse(kept, np.ones(len(kept), bool), prior)
        np.testing.assert_allclose(fused[image], alone)
    np.testing.assert_allclose(fused.sum(axis=-1), 1)


@pytest.mark.parametrize("fuse", LATE_FUSIONS.values(), ids=LATE_FUSIONS)
def test_an_image_without_tiles_gets_the_prior(fuse):
    masked = fuse(two_class([[0.9, np.nan], [0.9, 0.8]]), np.array([[0, 0], [1, 1]], bool), PRIOR)
    np.testing.assert_array_equal(masked[0], PRIOR)
    assert masked[1, 1] > 0.8
    np.testing.assert_array_equal(fuse(np.zeros((0, 2)), np.zeros(0, bool), PRIOR), PRIOR)


def test_a_numeric_scale_cannot_vote():
    with pytest.raises(ValueError, match="mean_score"):
        vote(np.array([[3.0]]), np.ones(1, bool), np.ones(1))


def balanced_accuracy(scores, labels, low, high):
    return decision_metrics(three_class(scores, low, high), labels, 3, True)["balanced_accuracy"]


@pytest.mark.parametrize("seed", range(20))
def test_thresholds_are_the_best_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 2], rng.integers(0, 3, size=15)])
    # Few distinct values make many ties between rows, the ends of the scale included; odd seeds
    # have scores that say nothing, so that the two cuts get into each other's way.
    informed = np.clip(labels / 2 + rng.normal(scale=0.4, size=18), 0, 1)
    scores = np.round(rng.uniform(size=18) if seed % 2 else informed, 1)
    cuts = np.concatenate([[0.0], np.unique(scores) + 0.01])
    best = max(
        balanced_accuracy(scores, labels, low, high)
        for low, high in itertools.combinations_with_replacement(cuts, 2)
    )
    low, high = fit_thresholds(scores, labels)
    assert low <= high
    assert balanced_accuracy(scores, labels, low, high) == pytest.approx(best)
    order = rng.permutation(18)
    assert fit_thresholds(scores[order], labels[order]) == (low, high)


def test_separable_scores_are_cut_in_the_middle_of_the_gaps():
    scores, labels = np.array([0.0, 0.2, 0.4, 0.5, 0.9, 1.0]), np.array([0, 0, 1, 1, 2, 2])
    assert fit_thresholds(scores, labels) == (pytest.approx(0.3), pytest.approx(0.7))


def test_without_marginal_rows_both_thresholds_are_one_cut():
    low, high = fit_thresholds(np.array([0.1, 0.3, 0.6, 0.2]), np.array([0, 0, 2, 0]))
    assert low == high == pytest.approx(0.45)


def test_neighbouring_floats_are_still_told_apart():
    below = 0.5
    above = np.nextafter(below, 1)
    scores, labels = np.array([below, above]), np.array([0, 2])
    np.testing.assert_array_equal(three_class(scores, *fit_thresholds(scores, labels)), labels)


def test_reversed_scores_end_in_thresholds_on_the_scale():
    scores, labels = np.array([1.0, 0.9, 0.5, 0.1, 0.0]), np.array([0, 0, 1, 2, 2])
    low, high = fit_thresholds(scores, labels)
    assert 0 <= low <= high <= 1 + 1e-9
    assert balanced_accuracy(scores, labels, low, high) == pytest.approx(1 / 3)


def test_an_answer_at_a_threshold_is_the_better_one():
    np.testing.assert_array_equal(
        three_class(np.array([0.29, 0.3, 0.69, 0.7, 1.0]), 0.3, 0.7), [0, 1, 1, 2, 2]
    )


@pytest.mark.parametrize(
    ("scores", "labels", "sentence"),
    [
        ([0.1, 0.2], [0, 1], "1 bad and 0 good"),
        ([0.1, 0.2], [1, 2], "0 bad and 1 good"),
        ([0.1, np.nan], [0, 2], "not in"),
        ([0.1, 1.2], [0, 2], "not in"),
        ([0.1, 0.2], [0, 3], "Labels must be"),
        ([0.1], [0, 2], "cannot be matched"),
    ],
)
def test_thresholds_refuse_what_they_cannot_fit(scores, labels, sentence, unchecked_types):
    with pytest.raises(ValueError, match=sentence):
        fit_thresholds(scores, labels)


def test_crossed_thresholds_are_refused():
    with pytest.raises(ValueError, match="exceeds"):
        three_class(np.array([0.5]), 0.7, 0.3)
