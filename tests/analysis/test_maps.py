"""Maps of tiles laid over the image: nothing lost, nothing made up, no seams."""

import itertools

import numpy as np
import pytest

from input_pipeline.tiles.tiling import Tiling, grid, pixel_mask
from iqa_jax.analysis.maps import LONGEST_SIDE, make_maps, stitch

SIZES = [(64, 96), (70, 101), (20, 97), (1, 1), (33, 32)]
TILINGS = [
    Tiling(32, stride, edge)
    for stride, edge in itertools.product((32, 20, 7), ("shift", "pad", "drop"))
]


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("cells", [1, 3])
def test_a_constant_stays_constant(tiling, cells):
    for (height, width), step in itertools.product(SIZES, (1, 3)):
        origins = grid(height, width, tiling).origins
        found = stitch(np.full((len(origins), cells, cells), 0.3), origins, 32, height, width, step)
        assert found.shape == (-(-height // step), -(-width // step))
        assert found.dtype == np.float32
        seen = ~np.isnan(found)
        np.testing.assert_allclose(found[seen], 0.3, rtol=1e-6)
        if step == 1:
            covered = np.zeros((height, width), bool)
            masks = pixel_mask(height, width, origins, 32)
            for (top, left), mask in zip(origins, masks, strict=True):
                rows, columns = np.nonzero(mask)
                covered[rows + top, columns + left] = True
            np.testing.assert_array_equal(seen, covered)
        if tiling.edge != "drop":
            assert seen.all()


@pytest.mark.parametrize("cells", [1, 2, 4])
def test_the_mean_is_preserved(cells):
    origins = grid(96, 64, Tiling(32, 32)).origins
    tile_maps = np.random.default_rng(0).normal(size=(len(origins), cells, cells))
    found = stitch(tile_maps, origins, 32, 96, 64)
    assert found.mean() == pytest.approx(tile_maps.mean(), abs=1e-6)


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_nothing_beyond_what_the_tiles_say(tiling):
    origins = grid(70, 101, tiling).origins
    tile_maps = np.random.default_rng(1).uniform(2, 5, (len(origins), 2, 2))
    found = stitch(tile_maps, origins, 32, 70, 101)
    assert np.nanmin(found) >= tile_maps.min() - 1e-5
    assert np.nanmax(found) <= tile_maps.max() + 1e-5


@pytest.mark.parametrize("edge", ["shift", "pad"])
@pytest.mark.parametrize("step", [1, 2])
def test_tiles_that_agree_show_no_seam(edge, step):
    # Each tile reads one plane over the image at the middles of its cells.
    height, width, size, cells = 80, 100, 32, 4
    origins = grid(height, width, Tiling(size, 20, edge)).origins
    middles = (np.arange(cells) + 0.5) * size / cells
    tile_maps = np.array(
        [2 * (top + middles)[:, None] - (left + middles)[None, :] for top, left in origins]
    )
    found = stitch(tile_maps, origins, size, height, width, step)
    rows, columns = ((np.arange(n) + 0.5) * step for n in found.shape)
    # Beyond the outermost middles of cells, tiles do not extrapolate.
    inside = np.ix_((rows > 16) & (rows < height - 16), (columns > 16) & (columns < width - 16))
    plane = 2 * rows[:, None] - columns[None, :]
    assert np.abs(found - plane)[inside].max() < 6  # A cell is 8 pixels: half of 3 · 4.
    found_steps = np.abs(np.diff(found[inside], axis=1))
    assert found_steps.max() < 5 * step


def test_each_tile_is_where_it_was_cut():
    origins = grid(64, 96, Tiling(32, 32)).origins
    for number, (top, left) in enumerate(origins):
        tile_maps = np.zeros((len(origins), 1, 1))
        tile_maps[number] = 1
        expected = np.zeros((64, 96))
        expected[top : top + 32, left : left + 32] = 1
        np.testing.assert_array_equal(stitch(tile_maps, origins, 32, 64, 96), expected)


def test_padding_of_a_tile_is_left_out():
    # A tile of 32 over a photograph of 16: only its upper left quarter shows.
    tile_map = np.array([[[1.0, 100], [100, 100]]])
    found = stitch(tile_map, np.zeros((1, 2), int), 32, 8, 8)
    np.testing.assert_array_equal(found, np.ones((8, 8)))


def test_maps_of_an_image():
    tiling = Tiling(32, 32)
    origins = grid(64, 64, tiling).origins
    cams = np.zeros((4, 2, 2))
    cams[3] = 1
    maps = make_maps(
        np.array([0.9, 0.9, 0.9, 0.1]), np.array([0.1, 0.1, 0.1, 0.7]), cams, origins, 32, 64, 64
    )
    assert maps.step == 1 and maps.grad_cam.shape == (64, 64)
    assert maps.attention.mean() == pytest.approx(1)
    # All three say the same: the last tile.
    for relevance in maps.relevance().values():
        assert relevance[32:, 32:].min() > relevance[:, :32].max()


def test_a_large_image_has_small_maps():
    height, width = 64, 5 * LONGEST_SIDE + 1
    origins = grid(height, width, Tiling(64, 64)).origins
    maps = make_maps(
        np.arange(len(origins), dtype=float), np.ones(len(origins)), np.ones((len(origins), 1, 1)),
        origins, 64, height, width,
    )  # fmt: skip
    assert maps.step == 6 and maps.grad_cam.shape == (11, 854)
    assert np.all(np.diff(maps.tile_scores[0]) >= 0)


def test_the_map_shows_each_tile_at_its_place():
    origins = np.array([[0, 0], [0, 8]])
    arguments = (np.zeros(2), np.ones(2) / 2, np.zeros((2, 1, 1)), origins, 8, 8, 16)
    maps = make_maps(*arguments, anomaly=np.array([1.0, 3.0]))
    np.testing.assert_array_equal(maps.anomaly[:, :8], 1)
    np.testing.assert_array_equal(maps.anomaly[:, 8:], 3)
    np.testing.assert_array_equal(maps.relevance()["anomaly"], maps.anomaly)
    assert "anomaly" not in make_maps(*arguments).relevance()
