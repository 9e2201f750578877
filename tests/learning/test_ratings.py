"""Distributions of ratings have the moments they are asked for and claim nothing else."""

import numpy as np
import pytest

from iqa_jax.learning.ratings import agreement_weights, maximum_entropy

_RNG = np.random.default_rng(0)
_SCORES = np.linspace(0, 100, 11)


def test_maximum_entropy_of_the_mean():
    mean = np.concatenate([_SCORES, _RNG.uniform(0, 100, 50)])
    found = maximum_entropy(mean, None, _SCORES)
    np.testing.assert_allclose(found @ _SCORES, mean, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[5], 1 / 11, rtol=1e-6)
    # p_k ∝ exp(a·x_k): neighbours have one ratio.
    ratios = found[20, 1:] / found[20, :-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)


def test_maximum_entropy_of_mean_and_std():
    mean = _RNG.uniform(30, 70, 50)
    std = _RNG.uniform(6, 25, 50)
    found = maximum_entropy(mean, std, _SCORES)
    np.testing.assert_allclose(found @ _SCORES, mean, atol=1e-4)
    np.testing.assert_allclose(
        np.sqrt((found * (_SCORES - mean[:, None]) ** 2).sum(axis=1)), std, atol=1e-3
    )
    # No other distribution with these moments has more entropy: the best reachable by moving
    # along directions that keep them is where it stands.
    directions = np.linalg.svd(np.stack([np.ones(11), _SCORES, _SCORES**2]))[2][3:]
    slopes = -(np.log(found) + 1) @ directions.T
    np.testing.assert_allclose(slopes, 0, atol=1e-3)


@pytest.mark.parametrize("std", [0.0, 1e-6, 500.0])
def test_an_impossible_std_becomes_the_nearest_possible_one(std):
    mean = np.array([0.0, 0.01, 34.0, 50.0, 99.99, 100.0])
    found = maximum_entropy(mean, np.full(6, std), _SCORES)
    np.testing.assert_allclose(found @ _SCORES, mean, atol=1e-3)
    if std < 1:
        np.testing.assert_allclose(found[2, [3, 4]], [0.6, 0.4], atol=1e-3)
        np.testing.assert_allclose(found[3, 5], 1, atol=1e-3)
    else:
        np.testing.assert_allclose(found[2, [0, 10]], [0.66, 0.34], atol=1e-3)


def test_agreement_weighs_and_only_training_images_set_the_scale():
    is_train = np.array([True, True, True, False])
    weights = agreement_weights(np.array([0.0, 10.0, 20.0, 1000.0]), is_train)
    assert weights[is_train].mean() == pytest.approx(1)
    assert np.all(np.diff(weights) < 0)
    variance = np.array([0, 100, 400]) + 500 / 3
    np.testing.assert_allclose(weights[:3], 3 / variance / (1 / variance).sum())
    with pytest.raises(ValueError, match="every std is 0"):
        agreement_weights(np.zeros(4), is_train)
