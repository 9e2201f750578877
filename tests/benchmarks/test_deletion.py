"""Deletion and insertion on a judge whose answer is known: the share of degraded pixels it sees."""

import numpy as np
import pytest

from benchmarks.deletion import rank_pixels, replacement_curve

SHARE = 0.25


@pytest.fixture
def planted():
    """A degraded image, the photograph before, and the region: a quarter of it."""
    rng = np.random.default_rng(0)
    photo = rng.integers(1, 255, (40, 40, 3)).astype(np.uint8)
    region = np.zeros((40, 40), bool)
    region[10:30, 10:30] = True
    return np.where(region[..., None], 0, photo).astype(np.uint8), photo, region


def judge(images):
    """Says how much of the region is degraded: those pixels are black."""
    return [(image[10:30, 10:30] == 0).all(axis=-1).mean() for image in images]


def draw(start, end, relevance, seed=0):
    return replacement_curve(
        start, end, relevance, judge, steps=20, side=8, rng=np.random.default_rng(seed)
    )


def test_the_right_map_falls_as_fast_as_can_be(planted):
    degraded, photo, region = planted
    deletion = draw(degraded, photo, region.astype(float))
    np.testing.assert_allclose(deletion.answers, np.maximum(1 - deletion.shares / SHARE, 0))
    assert deletion.area == pytest.approx(SHARE / 2)
    insertion = draw(photo, degraded, region.astype(float))
    np.testing.assert_allclose(insertion.answers, np.minimum(insertion.shares / SHARE, 1))
    assert insertion.area == pytest.approx(1 - SHARE / 2)


def test_a_random_map_falls_evenly_and_a_wrong_one_last(planted):
    degraded, photo, region = planted
    random_areas = [draw(degraded, photo, np.zeros((40, 40)), seed).area for seed in range(40)]
    assert np.std(random_areas) > 0.01
    assert np.mean(random_areas) == pytest.approx(0.5, abs=0.03)
    right, wrong = (draw(degraded, photo, sign * region).area for sign in (1.0, -1.0))
    assert right < min(random_areas) and max(random_areas) < wrong
    assert wrong == pytest.approx(1 - SHARE / 2)


def test_both_ends_are_the_two_images(planted):
    degraded, photo, region = planted
    seen = []
    replacement_curve(
        degraded, photo, region.astype(float), lambda images: seen.extend(images) or judge(images),
        steps=3, side=8, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert len(seen) == 4
    np.testing.assert_array_equal(seen[0], degraded)
    np.testing.assert_array_equal(seen[-1], photo)


def test_ranks():
    rng = np.random.default_rng(0)
    relevance = np.array([[0.1, np.nan, 3.0], [-2.0, np.nan, 0.5]])
    ranks = rank_pixels(relevance, 1, rng)
    np.testing.assert_array_equal(ranks[~np.isnan(relevance)], [2, 0, 3, 1])
    assert sorted(ranks[np.isnan(relevance)]) == [4, 5]


def test_ties_go_square_by_square_in_random_order():
    ranks = rank_pixels(np.zeros((20, 13)), 8, np.random.default_rng(0))
    assert sorted(ranks.ravel()) == list(range(260))
    squares = [ranks[top : top + 8, left : left + 8] for top in (0, 8, 16) for left in (0, 8)]
    assert all(np.ptp(square) == square.size - 1 for square in squares)
    starts = [
        [np.argmin(rank_pixels(np.zeros((20, 13)), 8, np.random.default_rng(seed)))]
        for seed in range(20)
    ]
    assert len(np.unique(starts)) > 6


def test_relevance_goes_before_squares():
    relevance = np.arange(260.0).reshape(20, 13)
    np.testing.assert_array_equal(
        rank_pixels(relevance, 8, np.random.default_rng(0)), 259 - relevance
    )
