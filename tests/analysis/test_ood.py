"""Distances are those of SciPy and scikit-learn, whatever the number of images and dimensions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from benchmarks.ood import energy, max_softmax
from iqa_jax.analysis.ood import NEIGHBOURS, fit_domain


def make_embeddings(images: int, dim: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(42).normal(size=(dim, dim)) / np.sqrt(dim)
    return (rng.normal(size=(images, dim)) * np.linspace(0.1, 3, dim)) @ mix + 5


@pytest.mark.parametrize(("images", "dim"), [(80, 6), (12, 30), (40, 40)])
def test_mahalanobis_is_that_of_scipy(images, dim):
    train, new = make_embeddings(images, dim), make_embeddings(9, dim, seed=1)
    domain, shrunk = fit_domain(train), LedoitWolf().fit(train)
    assert shrunk.shrinkage_ > 0
    expected = [mahalanobis(row, shrunk.location_, shrunk.precision_) for row in new]
    np.testing.assert_allclose(domain.mahalanobis(new), expected, rtol=1e-6)


@pytest.mark.parametrize("images", [4, 50])
def test_nearest_is_the_tenth_smallest_distance(images):
    train, new = make_embeddings(images, 7), make_embeddings(5, 7, seed=1)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (new, train)]
    expected = np.sort(cdist(*unit), axis=1)[:, min(NEIGHBOURS, images) - 1]
    np.testing.assert_allclose(fit_domain(train).nearest(new), expected, rtol=1e-6)
    np.testing.assert_allclose(
        fit_domain(train).nearest(3 * new), fit_domain(train).nearest(new), rtol=1e-6
    )


def test_what_is_far_is_far():
    train, known = make_embeddings(60, 20), make_embeddings(200, 20, seed=1)
    # As far from the mean as the known ones, in the directions that the training images lack.
    strange = known.mean(axis=0) + np.random.default_rng(3).normal(size=known.shape) * known.std()
    is_strange = np.repeat([0, 1], 200)
    distances = fit_domain(train).mahalanobis(np.concatenate([known, strange]))
    assert roc_auc_score(is_strange, distances) > 0.9


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_domain_of_nothing_is_refused(rows):
    with pytest.raises(ValueError, match="at least two training images that differ"):
        fit_domain(np.ones((rows, 3)))


def test_a_dimension_that_never_varies_is_no_trouble():
    train = make_embeddings(30, 4)
    train[:, 2] = 0
    domain = fit_domain(train)
    expected = LedoitWolf().fit(train).mahalanobis(train) ** 0.5
    np.testing.assert_allclose(domain.mahalanobis(train), expected, rtol=1e-6)


def test_baselines():
    logits = np.array([[5.0, -5.0], [0.2, 0.1], [0.0, 0.0]])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.argsort(max_softmax(probabilities)).tolist() == [0, 1, 2]
    np.testing.assert_allclose(energy(logits), -np.log(np.exp(logits).sum(axis=1)))
