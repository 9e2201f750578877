"""Whole images in the given order; a bad one is a bag with its error."""

import numpy as np

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import index_tiles
from input_pipeline.tiles.tiling import Tiling

TILING = Tiling(32, 32, "shift")


MAX_PIXELS = 10**6


def test_a_bad_image_is_an_error_and_leaves_the_others_alone(tmp_path):
    good = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    (tmp_path / "text.jpg").write_text("no image")
    missing = tmp_path / "missing.png"
    source = TileSource([good, tmp_path / "text.jpg", missing, good], TILING, max_pixels=MAX_PIXELS)
    index = index_tiles(source, range(4), low=0, threads=2)
    assert set(index.errors) == {1, 2} and set(index.image_id) == {0, 3}
    bags = list(whole_bags(source, [3, 1, 0, 2], FeatureTable(), threads=2))
    assert [bag.image_id for bag in bags] == [3, 1, 0, 2]
    assert [len(bag.tiles) for bag in bags] == [6, 0, 6, 0]
    assert "text.jpg" in bags[1].error and "missing.png" in bags[3].error
    assert list(whole_bags(source, [], FeatureTable(), threads=2)) == []
