"""Figures of localisation on maps whose answer is known, and reading the masks."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from input_pipeline.files.images import ImageError
from input_pipeline.files.reduction import Reduction
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.regions import find_regions, load_region
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


def test_masks_are_found_and_read(tmp_path, region):
    Image.fromarray(region).save(tmp_path / "mask.png")
    (tmp_path / "manifest.csv").write_text("path,region\na.png,\nb.png,mask.png\n")
    paths = find_regions(read_manifest(tmp_path / "manifest.csv", None))
    assert paths == {1: tmp_path / "mask.png"}
    np.testing.assert_array_equal(load_region(paths[1], 40, 50, max_pixels=10**6), region)
    small = load_region(paths[1], 20, 25, max_pixels=10**6, reduction=Reduction(2))
    np.testing.assert_array_equal(small, region.reshape(20, 2, 25, 2).mean(axis=(1, 3)) >= 0.5)
    again = load_region(paths[1], 20, 25, max_pixels=10**6, reduction=Reduction(reference_side=20))
    np.testing.assert_array_equal(again, small)
    with pytest.raises(ImageError, match=r"mask has 40×50 pixels, its image 50×40"):
        load_region(paths[1], 50, 40, max_pixels=10**6)
    (tmp_path / "manifest.csv").write_text("path\na.png\nb.png\n")
    assert find_regions(read_manifest(tmp_path / "manifest.csv", None)) == {}
