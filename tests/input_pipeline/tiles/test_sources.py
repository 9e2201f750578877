"""Tiles of pictures as they are read: made smaller, cut already, or views of a file."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from input_pipeline.files.reduction import shrink_by
from input_pipeline.tiles.sources import CutTiles, TileSource, Version
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.tiles.views import View, tiles_of_views

MAX_PIXELS = 10**6


def test_shrunk_tiles_are_those_of_the_smaller_picture(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (131, 102, 3), np.uint8)
    small = shrink_by(photo, 2)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    tiling = Tiling(32, 20, shrink=2)
    pictures = [
        tmp_path / "photo.png",
        photo,
        photo[:, ::-1][:, ::-1],
        Version(str(tmp_path / "photo.png"), "", 0, (), 1000),
    ]
    source = TileSource(pictures, tiling, max_pixels=MAX_PIXELS)
    plain = TileSource([small], dataclasses.replace(tiling, shrink=1), max_pixels=MAX_PIXELS)
    layout = plain.layout(0)
    assert layout.grid.shape == (3, 2) and (layout.height, layout.width) == (66, 51)
    for number in range(len(pictures)):
        found = source.layout(number)
        assert (found.height, found.width, found.grid.shape) == (66, 51, (3, 2))
        np.testing.assert_array_equal(found.grid.origins, layout.grid.origins)
        np.testing.assert_array_equal(source.tiles(number, layout), plain.tiles(0, layout))
        np.testing.assert_array_equal(source.image(number), small)
    # A tile already cut is one.
    Image.fromarray(photo[:32, :32]).save(tmp_path / "tile.png")
    cut = CutTiles((str(tmp_path / "tile.png"),), np.zeros((1, 2), np.int32))
    source = TileSource([cut], tiling, max_pixels=MAX_PIXELS)
    np.testing.assert_array_equal(source.tiles(0, source.layout(0))[0], photo[:32, :32])


@pytest.mark.parametrize("sides", [(90, 100), (100, 90), (90, 90), (50, 300), (20, 30)])
def test_no_larger_than_the_reference_side_is_as_without(sides, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    pictures = [
        tmp_path / "photo.png",
        tmp_path / "photo.jpg",
        photo,
        Version(str(tmp_path / "photo.png"), "gaussian_blur", 3, (1,), 40),
    ]
    plain, limited = (
        TileSource(pictures, Tiling(32, 20, reference_side=side), max_pixels=MAX_PIXELS)
        for side in (0, 90)
    )
    for number in range(len(pictures)):
        layout, expected = limited.layout(number), plain.layout(number)
        assert layout[1:] == expected[1:] and layout.grid.shape == expected.grid.shape
        np.testing.assert_array_equal(layout.grid.origins, expected.grid.origins)
        np.testing.assert_array_equal(limited.tiles(number, layout), plain.tiles(number, expected))


@pytest.mark.parametrize("sides", [(131, 202), (202, 131)])
def test_larger_than_the_reference_side_is_cut_as_the_smaller_picture(sides, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    path = tmp_path / "photo.png"
    pictures = [path, photo, Version(str(path), "", 0, (), 1000), tmp_path / "photo.jpg"]
    tiling = Tiling(32, 20, reference_side=32)
    source = TileSource(pictures, tiling, max_pixels=MAX_PIXELS)
    for number in range(len(pictures)):
        small, layout = source.image(number), source.layout(number)
        # 202 · 32 / 131 = 49.3...
        assert small.shape == ((32, 49, 3) if sides[0] == 131 else (49, 32, 3))
        plain = TileSource([small], Tiling(32, 20), max_pixels=MAX_PIXELS)
        expected = plain.layout(0)
        assert (layout.height, layout.width) == (expected.height, expected.width)
        for ours, theirs in zip(layout.grid, expected.grid, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(source.tiles(number, layout), plain.tiles(0, expected))
    np.testing.assert_array_equal(source.image(0), source.image(1))
    # What is held while it is read: a JPEG is decoded at half its sides.
    held = [source.layout(number).read_pixels for number in range(len(pictures))]
    assert held == [131 * 202, 131 * 202, 131 * 202, 131 * 202 // 4]
    # Views are of the smaller picture.
    ((tiles, layout),), _ = tiles_of_views(source, 0, source.layout(0), [View(scale=1.5)])
    assert sorted((layout.height, layout.width)) == [48, 74] and len(tiles) == 2 * 4
