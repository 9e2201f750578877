"""Tiles cover what their policy promises, say where they are, and never invent content."""

import numpy as np
import pytest
import skimage.data

from input_pipeline.tiles import tiling
from input_pipeline.tiles.tiling import Tiling

EDGES = ("shift", "drop", "pad")


def coverage(height, width, origins, size):
    count = np.zeros((height, width), int)
    for top, left in origins:
        count[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] += 1
    return count


def test_golden_grids():
    def tops(height, edge, size=4, stride=3):
        return tiling.grid(height, 1, Tiling(size, stride, edge)).origins[:, 0].tolist()

    assert tops(10, "shift") == tops(10, "drop") == tops(10, "pad") == [0, 3, 6]
    assert tops(12, "drop") == [0, 3, 6]
    assert tops(12, "shift") == [0, 3, 6, 8]
    assert tops(12, "pad") == [0, 3, 6, 9]
    assert tops(4, "pad") == tops(3, "drop") == tops(1, "shift") == [0]


def test_positions_are_row_and_column_in_row_major_order():
    grid = tiling.grid(30, 50, Tiling(10, 10))
    assert grid.shape == (3, 5)
    assert grid.origins.dtype == grid.positions.dtype == np.int32
    np.testing.assert_array_equal(grid.positions, [(r, c) for r in range(3) for c in range(5)])
    np.testing.assert_array_equal(grid.origins, grid.positions * 10)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("stride", [1, 3, 5, 7])
def test_grid_keeps_its_policy_for_every_size(edge, stride):
    size = 7
    for height in range(1, 24):
        for width in (1, 6, 7, 8, 19):
            grid = tiling.grid(height, width, Tiling(size, stride, edge))
            assert len(grid.origins) == len(grid.positions) == np.prod(grid.shape) > 0
            assert len(np.unique(grid.origins, axis=0)) == len(grid.origins)
            count = coverage(height, width, grid.origins, size)
            ends = grid.origins + size
            is_inside = np.all(ends <= np.maximum([height, width], size))
            if edge == "pad":
                assert count.all() and (grid.origins % stride == 0).all()
                assert (grid.origins < [height, width]).all()
            elif edge == "shift":
                assert count.all() and is_inside
            else:
                assert is_inside and (grid.origins % stride == 0).all()
                unseen = np.array([height, width]) - ends.max(axis=0)
                assert (unseen < stride).all()


@pytest.mark.parametrize(
    "arguments",
    [{"size": 0}, {"stride": 0}, {"size": 8, "stride": 9}, {"edge": "wrap"}],
)
def test_impossible_tilings_are_refused(arguments, unchecked_types):
    with pytest.raises(ValueError, match="[.]$"):
        Tiling(**arguments)


def test_cut_returns_the_pixels_at_the_origins():
    image = skimage.data.astronaut()
    origins = np.array([[0, 0], [5, 9], [512 - 32, 512 - 32]])
    for tile, (top, left) in zip(tiling.cut(image, origins, 32), origins, strict=True):
        np.testing.assert_array_equal(tile, image[top : top + 32, left : left + 32])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (5, 40), (33, 31)])
def test_padding_mirrors_like_numpy(shape):
    size, rng = 32, np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    grid = tiling.grid(*shape, Tiling(size, 24, "pad"))
    cut = tiling.cut(image, grid.origins, size)
    padded = np.pad(image, ((0, 80), (0, 80), (0, 0)), mode="reflect")
    for tile, (top, left) in zip(cut, grid.origins, strict=True):
        np.testing.assert_array_equal(tile, padded[top : top + size, left : left + size])


def test_cut_and_mask_agree_on_origins_before_the_image():
    image = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1).repeat(3, 2)
    tile = tiling.cut(image, np.array([[-2, -1]]), 4)[0, ..., 0]
    np.testing.assert_array_equal(tile[:, 1], [9, 5, 1, 5])
    np.testing.assert_array_equal(tile[2], [2, 1, 2, 3])
    mask = tiling.pixel_mask(3, 4, np.array([[-2, -1]]), 4)[0]
    assert not mask[:2].any() and not mask[:, 0].any() and mask[2:, 1:].all()


@pytest.mark.parametrize("edge", EDGES)
def test_pixel_mask_marks_exactly_the_image(edge):
    height, width, size = 21, 45, 16
    grid = tiling.grid(height, width, Tiling(size, 12, edge))
    mask = tiling.pixel_mask(height, width, grid.origins, size)
    count = coverage(height, width, grid.origins, size)
    assert mask.shape == (len(grid.origins), size, size)
    assert mask.sum() == count.sum()
    assert mask.all() == (edge != "pad")


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("height", "width"), [(40, 53), (16, 16), (5, 30), (1, 1)])
def test_random_tiles_stay_inside_move_less_than_a_stride_and_see_everything(edge, height, width):
    way = Tiling(16, 12, edge)
    origins = tiling.grid(height, width, way).origins
    rng = np.random.default_rng(0)
    seen = np.zeros((height, width), int)
    for _ in range(400):
        moved = tiling.random_origins(height, width, origins, way, rng)
        assert moved.dtype == np.int32 and moved.shape == origins.shape
        assert (moved >= 0).all()
        assert (moved + 16 <= np.maximum([height, width], 16)).all()
        # A padded tile first has to come back into the image.
        inside = np.minimum(origins, np.maximum(np.array([height, width]) - 16, 0))
        assert (np.abs(moved - inside) < way.stride).all()
        seen += coverage(height, width, moved, 16)
    assert seen.all()


def test_random_tiles_follow_their_generator():
    way = Tiling(8, 8)
    origins = tiling.grid(80, 80, way).origins

    def draw(seed):
        return tiling.random_origins(80, 80, origins, way, np.random.default_rng(seed))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()
    still = tiling.random_origins(80, 80, origins, Tiling(8, 1), np.random.default_rng(0))
    np.testing.assert_array_equal(still, origins)


def test_border_is_seen_by_random_tiles_about_as_often_as_the_middle():
    way, rng = Tiling(16, 16), np.random.default_rng(0)
    origins = tiling.grid(64, 64, way).origins
    seen = sum(
        coverage(64, 64, tiling.random_origins(64, 64, origins, way, rng), 16) for _ in range(300)
    )
    assert seen[0].mean() > 0.5 * seen[24:40].mean()


def test_edge_sum_counts_the_outline_of_a_step():
    tile = np.zeros((64, 64, 3), np.uint8)
    assert tiling.edge_sum(tile) == 0
    tile[:, 32:] = 200
    assert tiling.edge_sum(tile) == 64


def test_edge_thresholds_are_50_and_70():
    def has_edge(step):
        # A 3x3 Sobel filter answers 4 x the step of a straight edge.
        tile = np.full((16, 16, 3), 100, np.uint8)
        tile[:, 8:] += step
        return tiling.edge_sum(tile) > 0

    assert (tiling.EDGE_LOW, tiling.EDGE_HIGH) == (50, 70)
    assert not has_edge(17) and has_edge(18)
    weak = np.full((16, 16, 3), 100, np.uint8)
    weak[:, 8:] += 13  # 52: kept only where it continues a strong edge
    assert tiling.edge_sum(weak) == 0
    weak[:4, 8:] += 10
    assert tiling.edge_sum(weak) > 10


def test_edge_sum_leaves_padding_out():
    photo = skimage.data.camera()[:40, :40, None].repeat(3, 2)
    photo = np.vstack([photo, 255 - photo])[:60]
    tile = tiling.cut(photo, np.array([[0, 0]]), 80)[0]
    mask = tiling.pixel_mask(60, 40, np.array([[0, 0]]), 80)[0]
    assert tiling.edge_sum(tile) > tiling.edge_sum(tile, mask) > 0
    assert tiling.edge_sum(tile, np.zeros_like(mask)) == 0


def test_edge_sum_tells_sky_from_grass():
    camera = skimage.data.camera()[..., None].repeat(3, 2)
    sky, lawn = camera[:64, :64], camera[400:464, 400:464]
    assert tiling.edge_sum(sky) < 50 < 500 < tiling.edge_sum(lawn)


def test_band_includes_both_ends_and_is_never_empty():
    kept = tiling.within_band(np.array([9, 10, 15, 20, 21]), 10, 20)
    np.testing.assert_array_equal(kept, [False, True, True, True, False])
    with pytest.raises(ValueError, match="empty"):
        tiling.within_band(np.array([1]), 2, 1)
