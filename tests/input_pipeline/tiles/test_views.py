"""A view is the changed photograph, cut as any photograph is."""

import cv2
import numpy as np
import pytest

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import CutTiles, TileSource
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.tiles.views import PLAIN, View, make_views, take_view

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 70), (16, 32), (9, 21))]
TILINGS = [Tiling(16, 16, "shift"), Tiling(16, 16, "pad"), Tiling(16, 10, "drop")]


def bag_of(picture, tiling, view=PLAIN):
    source = TileSource([picture], tiling, max_pixels=10**6)
    (bag,) = whole_bags(source, [0], FeatureTable(), threads=1, views=[view])
    return bag


def assert_equal(ours, theirs):
    np.testing.assert_array_equal(ours.tiles, theirs.tiles)
    assert ours.layout.grid.shape == theirs.layout.grid.shape
    np.testing.assert_array_equal(ours.layout.grid.positions, theirs.layout.grid.positions)
    np.testing.assert_array_equal(ours.layout.grid.origins, theirs.layout.grid.origins)


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("image", IMAGES)
def test_a_mirrored_view_is_the_mirrored_photograph(image, tiling):
    for view, mirror in (
        (View(flip_horizontal=True), np.s_[:, ::-1]),
        (View(flip_vertical=True), np.s_[::-1]),
        (View(True, True), np.s_[::-1, ::-1]),
    ):
        mirrored = np.ascontiguousarray(image[mirror])
        assert_equal(bag_of(image, tiling, view), bag_of(mirrored, tiling))


def test_a_scaled_view_is_the_resized_photograph():
    for scale, size in ((0.5, (35, 20)), (1.5, (105, 60))):
        resized = cv2.resize(IMAGES[0], size, interpolation=cv2.INTER_AREA if scale < 1 else
                             cv2.INTER_CUBIC)  # fmt: skip
        assert_equal(bag_of(IMAGES[0], TILINGS[0], View(scale=scale)), bag_of(resized, TILINGS[0]))


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("image", IMAGES)
def test_a_moved_grid_stays_in_the_photograph(image, tiling):
    tiles, layout = take_view(image, View(shift=0.5), tiling)
    plain = bag_of(image, tiling)
    assert layout.grid.shape == plain.layout.grid.shape
    np.testing.assert_array_equal(layout.grid.positions, plain.layout.grid.positions)
    last = np.maximum(np.array(image.shape[:2]) - tiling.size, 0)
    assert (layout.grid.origins <= last).all()
    moved = layout.grid.origins[0] - plain.layout.grid.origins[0]
    assert (moved == np.minimum(tiling.stride // 2, last)).all()
    for tile, (top, left) in zip(tiles, layout.grid.origins, strict=True):
        whole = image[top : top + 16, left : left + 16]
        np.testing.assert_array_equal(tile[: whole.shape[0], : whole.shape[1]], whole)


def test_tiles_already_cut_are_mirrored_as_the_photograph(tmp_path):
    image = RNG.integers(0, 256, (32, 48, 3), np.uint8)
    paths, positions = [], [(1, 1), (0, 0), (1, 0), (0, 2), (0, 1), (1, 2)]
    for row, column in positions:
        paths.append(str(tmp_path / f"{row}_{column}.png"))
        tile = image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        cv2.imwrite(paths[-1], tile[:, :, ::-1])
    picture = CutTiles(tuple(paths), np.array(positions, np.int32))
    for view in make_views("both", 0, ()):
        ours, theirs = bag_of(picture, TILINGS[0], view), bag_of(image, TILINGS[0], view)
        order = np.lexsort(ours.layout.grid.positions.T[::-1])
        np.testing.assert_array_equal(ours.tiles[order], theirs.tiles)
        np.testing.assert_array_equal(
            ours.layout.grid.positions[order], theirs.layout.grid.positions
        )
    assert "mirrored, not moved" in bag_of(picture, TILINGS[0], View(shift=0.5)).error


def test_views_are_the_plain_one_first_and_as_many_as_asked():
    assert make_views("none", 0, ()) == (PLAIN,)
    views = make_views("both", 3, (0.5, 2.0))
    assert views[0] == PLAIN and len(set(views)) == len(views) == 4 * (1 + 3 + 2)
    assert sorted({view.shift for view in views}) == [0, 0.25, 0.5, 0.75]


def test_every_view_of_every_image_in_order_and_one_bag_for_a_bad_image(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    source = TileSource([IMAGES[0], tmp_path / "text.jpg", IMAGES[1]], TILINGS[0], max_pixels=10**6)
    views = make_views("horizontal", 1, ())
    bags = list(whole_bags(source, [2, 1, 0], FeatureTable(), threads=2, views=views))
    assert [(bag.image_id, bag.view) for bag in bags] == [
        *((2, view) for view in range(4)), (1, 0), *((0, view) for view in range(4)),
    ]  # fmt: skip
    assert bags[4].error and not any(bag.error for bag in bags[:4] + bags[5:])
