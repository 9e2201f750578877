"""Masks of bad regions are found by a manifest's column and read in the image's size."""

import numpy as np
import pytest
from PIL import Image

from input_pipeline.files.images import ImageError
from input_pipeline.files.reduction import Reduction
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.regions import find_regions, load_region


@pytest.fixture
def region():
    region = np.zeros((40, 50), bool)
    region[10:30, 5:25] = True
    return region


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
