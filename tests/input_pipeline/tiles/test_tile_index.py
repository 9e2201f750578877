"""The index holds the tiles in the band of edges, image by image, and what was measured of them."""

import numpy as np
import pandas as pd
import pytest

from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import (
    fit_index_features,
    index_tiles,
    rows_by_image,
    without_tiles,
)
from input_pipeline.tiles.tiling import Tiling, edge_sum

SIZE = 32
TILING = Tiling(SIZE, SIZE)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two pictures of 2 x 3 and 1 x 2 tiles, each tile with more lines than the one before."""
    pictures = []
    for rows, columns in ((2, 3), (1, 2)):
        picture = np.zeros((rows * SIZE, columns * SIZE, 3), np.uint8)
        for number in range(rows * columns):
            top, left = SIZE * (number // columns), SIZE * (number % columns)
            for line in range(number):
                picture[top + 5 * line + 2 : top + 5 * line + 4, left + 6 : left + 26] = 255
        pictures.append(picture)
    missing = tmp_path_factory.mktemp("index") / "none.png"
    return TileSource([pictures[0], missing, pictures[1]], TILING, max_pixels=10**6)


def sums_of(source, image_id):
    return [edge_sum(tile) for tile in source.tiles(image_id, source.layout(image_id))]


def test_all_tiles_are_in_it_in_order_and_a_bad_image_has_its_error(source):
    done = []
    index = index_tiles(source, [0, 1, 2], low=0, threads=2, progress=done.append)
    assert index.image_id.tolist() == [0] * 6 + [2] * 2
    assert index.number.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert index.edge_sum.tolist() == sums_of(source, 0) + sums_of(source, 2)
    assert set(index.errors) == {1} and "none.png" in index.errors[1]
    assert done == [1, 2, 3] and len(index) == 8
    assert [rows.tolist() for rows in rows_by_image(index)] == [[0, 1, 2, 3, 4, 5], [6, 7]]


def test_both_ends_of_the_band_are_kept_and_the_rest_is_listed(source):
    sums = sums_of(source, 0)
    assert np.all(np.diff(sums) > 0)
    index = index_tiles(source, [0], low=sums[1], high=sums[4], threads=1)
    assert index.number.tolist() == [1, 2, 3, 4] and index.edge_sum.tolist() == sums[1:5]
    assert index.dropped.tolist() == [[0, 0, sums[0]], [0, 5, sums[5]]]


def test_without_measures_nothing_is_dropped_or_read(source, monkeypatch):
    monkeypatch.setattr(TileSource, "tiles", None)
    index = index_tiles(source, [0], low=0, measures=(), threads=1)
    assert len(index) == 6 and not index.edge_sum.any()


def test_tiles_are_taken_out_by_their_place(source):
    index = index_tiles(source, [0, 2], low=0, threads=1)
    left = without_tiles(index, {(0, 1, 2), (2, 0, 0), (2, 9, 9), (1, 0, 0)})
    assert list(zip(left.image_id, left.number, strict=True)) == [
        (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (2, 1),
    ]  # fmt: skip
    assert left.edge_sum.tolist() == sums_of(source, 0)[:5] + sums_of(source, 2)[1:]


def test_features_are_scaled_on_the_tiles_of_the_index(source):
    index = index_tiles(source, [0, 2], low=0, threads=1)
    images = pd.DataFrame({"exposure": [1.0, 0.0, 5.0]})
    table = fit_index_features(("n_tiles", "edge_sum", "exposure"), index, images)
    # Six tiles of an image of six, two of an image of two.
    assert table.mean == pytest.approx((5, index.edge_sum.mean(), 2))
    assert table.scale == pytest.approx((np.sqrt(3), index.edge_sum.std(), np.sqrt(3)))
