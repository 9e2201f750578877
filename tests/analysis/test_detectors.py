"""Detectors of anomalous tiles on planted truth."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import f
from sklearn.metrics import roc_auc_score

from iqa_jax.analysis.detectors import DETECTORS, fit_detector, greedy_coreset

DIM = 7


def draw(count, spread, seed, scale=1.0):
    """Draws embeddings around a mean far from 0; `scale` gives each dimension a unit of its own."""
    rng = np.random.default_rng(seed)
    return (30 + spread * rng.normal(size=(count, DIM))) * scale


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("scale", [1.0, 10.0 ** np.linspace(-2, 2, DIM)])
def test_anomalies_are_found_about_as_well_as_can_be(kind, scale):
    """Good ones are N(m, I), bad ones N(m, 3 I): the distance from m is the likelihood ratio.

    The ratio of two such squared distances is 3 F, so the best AUROC is P(3 F > 1). At length 1 the
    direction of m is lost, and with it a degree of freedom.
    """
    detector = fit_detector(kind, draw(3000, 1, 0, scale), memory=1000, seed=0)
    good, bad = draw(2000, 1, 1, scale), draw(2000, 3**0.5, 2, scale)
    found = roc_auc_score(np.repeat([0, 1], 2000), detector(np.concatenate([good, bad])))
    freedom = DIM if kind == "mahalanobis" else DIM - 1
    best = f.sf(1 / 3, freedom, freedom)
    # A coreset keeps the rim of the good ones, where they are rare, as well as their middle.
    assert best - {"mahalanobis": 0.01, "knn": 0.02, "coreset": 0.06}[kind] < found < best + 0.02


@pytest.mark.parametrize("seed", range(5))
def test_the_coreset_covers_within_twice_the_best_radius(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(11, 2)) + 4 * rng.integers(0, 2, (11, 1))
    distances = cdist(points, points)

    def radius(chosen):
        return distances[:, list(chosen)].min(axis=1).max()

    for size in (1, 2, 3, 4):
        chosen = greedy_coreset(points, size, np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == size
        best = min(map(radius, itertools.combinations(range(11), size)))
        assert best <= radius(chosen) <= 2 * best + 1e-9
        if size > 1:
            rest = distances[:, chosen[:-1]].min(axis=1)
            assert rest[chosen[-1]] == pytest.approx(rest.max())


def test_the_coreset_takes_each_point_once():
    points = np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 5, axis=0)
    chosen = greedy_coreset(points, 10, np.random.default_rng(1))
    assert sorted(set((chosen // 5).tolist())) == [0, 1, 2, 3] and len(chosen) == 4


@pytest.mark.parametrize("kind", DETECTORS)
def test_memory_is_bounded_and_what_is_remembered_is_near(kind):
    tiles = draw(300, 1, 0)
    whole = fit_detector(kind, tiles, memory=1000, seed=0)
    small = fit_detector(kind, tiles, memory=20, seed=0)
    if kind != "mahalanobis":
        assert len(whole.known.units) == 300 and len(small.known.units) == 20
        assert whole(tiles).mean() < small(tiles).mean()
    if kind == "coreset":
        np.testing.assert_allclose(whole(tiles), 0, atol=1e-6)
    assert whole(tiles[:0]).shape == (0,)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_detector_of_nothing_is_refused(rows):
    with pytest.raises(ValueError, match="at least two good tiles that differ"):
        fit_detector("knn", np.ones((rows, 3)), memory=5, seed=0)


def test_a_dimension_that_never_varies_is_no_trouble():
    tiles = draw(200, 1, 0)
    tiles[:, 2] = 0
    new = draw(50, 1, 1)
    new[:, 2] = 1e-3
    for kind in DETECTORS:
        found = fit_detector(kind, tiles, memory=100, seed=0)(new)
        assert np.isfinite(found).all() and found.max() < 100
