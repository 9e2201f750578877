"""Neighbours on a plane and in all dimensions, on clusters that are known."""

import itertools

import numpy as np
import pytest

from iqa_jax.analysis.projection import neighbourhood_purity, project


@pytest.fixture(scope="module")
def clusters():
    """Three clusters of 14 in 16 dimensions, far apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["bad", "good", "marginal"], 14)
    centers = np.repeat(20 * rng.normal(size=(3, 16)), 14, axis=0)
    return centers + rng.normal(size=(42, 16)), labels


def test_separated_clusters_are_pure(clusters):
    purity, chance = neighbourhood_purity(*clusters)
    assert purity == 1
    assert chance == pytest.approx(13 / 41)


def test_shuffled_labels_are_chance(clusters):
    embeddings, labels = clusters
    rng = np.random.default_rng(0)
    found = [neighbourhood_purity(embeddings, rng.permutation(labels)) for _ in range(40)]
    purities, chances = zip(*found, strict=True)
    assert np.mean(purities) == pytest.approx(chances[0], abs=0.03)


def test_chance_is_the_mean_over_all_shuffles():
    embeddings = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]])
    purities, chances = zip(
        *(
            neighbourhood_purity(embeddings, np.isin(np.arange(5), chosen), k=2)
            for chosen in itertools.combinations(range(5), 2)
        ),
        strict=True,
    )
    assert np.ptp(purities) > 0.3
    np.testing.assert_allclose(chances, np.mean(purities))


def test_an_image_is_not_its_own_neighbour():
    # Pairs of equal embeddings with different labels: the nearest neighbour is never of the own.
    embeddings = np.repeat(np.arange(5.0)[:, None], 2, axis=0)
    assert neighbourhood_purity(embeddings, np.tile([0, 1], 5), k=1)[0] == 0


def test_few_images():
    assert neighbourhood_purity(np.zeros((1, 3)), np.array([0])) == (None, None)
    assert neighbourhood_purity(np.zeros((0, 3)), np.array([])) == (None, None)
    assert neighbourhood_purity(np.eye(3), np.array([0, 0, 0]), k=10) == (1, 1)
    with pytest.raises(ValueError, match="3 embeddings of 8 dimensions cannot be projected"):
        project(np.zeros((3, 8)), seed=0)


def test_clusters_stay_together_on_the_plane(clusters):
    embeddings, labels = clusters
    projection = project(embeddings, seed=0)
    for plane in (projection.tsne, projection.pca):
        assert plane.shape == (42, 2)
        assert neighbourhood_purity(plane, labels)[0] == 1
    assert 0.9 < projection.pca_share <= 1
    np.testing.assert_array_equal(project(embeddings, seed=0).tsne, projection.tsne)


def test_pca_of_a_plane_is_that_plane_turned():
    plane = np.random.default_rng(0).normal(size=(20, 2)) * (3, 1)
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(7, 7)))[0][:2]
    projection = project(plane @ basis + 5, seed=0)
    assert projection.pca_share == pytest.approx(1)

    def distances(points):
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    np.testing.assert_allclose(distances(projection.pca), distances(plane), atol=1e-9)
    assert projection.pca[:, 0].std() > projection.pca[:, 1].std()


def test_equal_embeddings_have_a_place_too():
    projection = project(np.ones((6, 4)), seed=0)
    assert np.isfinite(projection.tsne).all() and not projection.pca.any()
    assert projection.pca_share == 0
