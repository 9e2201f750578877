"""Figures of localisation on maps whose answer is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from iqa_jax.analysis.localisation import pixel_auc, pointing_game, summarise_localisation


@pytest.fixture
def region():
    region = np.zeros((40, 50), bool)
    region[10:30, 5:25] = True
    return region


def test_a_planted_map_is_perfect(region):
    noise = np.random.default_rng(0).uniform(0, 0.1, region.shape)
    assert pixel_auc(region + noise, region) == 1
    assert pointing_game(region + noise, region) == 1
    assert pixel_auc(noise - region, region) == 0
    assert pointing_game(noise - region, region) == 0


def test_a_random_map_is_chance(region):
    rng = np.random.default_rng(0)
    maps = [rng.random(region.shape) for _ in range(200)]
    assert np.mean([pixel_auc(one, region) for one in maps]) == pytest.approx(0.5, abs=0.01)
    assert np.mean([pointing_game(one, region) for one in maps]) == pytest.approx(
        region.mean(), abs=0.1
    )


def test_a_flat_map_is_exactly_chance(region):
    assert pixel_auc(np.ones(region.shape), region) == 0.5
    assert pointing_game(np.ones(region.shape), region) == pytest.approx(region.mean())


def test_the_area_is_that_of_scikit_learn(region):
    relevance = np.random.default_rng(1).integers(0, 5, region.shape) + region.astype(float)
    expected = roc_auc_score(region.ravel(), relevance.ravel())
    assert pixel_auc(relevance, region) == pytest.approx(expected, abs=1e-12)


def test_what_was_never_seen_comes_last(region):
    relevance = region.astype(float)
    relevance[~region] = np.nan
    assert pixel_auc(relevance, region) == 1 and pointing_game(relevance, region) == 1
    relevance = np.where(region, np.nan, -5.0)
    assert pixel_auc(relevance, region) == 0 and pointing_game(relevance, region) == 0


def test_undefined_is_none(region):
    nothing, relevance = np.zeros_like(region), region.astype(float)
    assert pixel_auc(relevance, nothing) is None and pixel_auc(relevance, ~nothing) is None
    assert pointing_game(relevance, nothing) is None
    assert summarise_localisation([{"a": relevance}], [nothing]) is None
    assert summarise_localisation([], []) is None


def test_a_summary_averages_images_with_a_region(region):
    good, bad = region.astype(float), 1.0 - region
    everything = np.ones_like(region)
    found = summarise_localisation(
        [{"map": good}, {"map": bad}, {"map": good}], [region, region, everything]
    )
    assert found["images"] == 2
    assert found["region_share"] == pytest.approx(region.mean())
    assert found["maps"] == {"map": {"pixel_auc": 0.5, "pointing_game": 0.5}}
