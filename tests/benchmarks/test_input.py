"""Both sides of `benchmarks.input` do the same work, so that their speeds can be compared."""

import cv2
import numpy as np
import pytest

from benchmarks.input import PhotoTiles, Work, build_iqa_jax, open_training, write_manifest
from benchmarks.predict import write_photos
from input_pipeline.batches.bags import tile_reader
from input_pipeline.files.images import load
from input_pipeline.tiles.tile_index import rows_by_image

WORK = Work(tiles=3, batch=2, low=150, high=270, size=32)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    paths = write_photos(folder, 4, 160, 192)
    return paths, write_manifest(folder, paths)


def test_the_peer_cuts_our_tiles(photos):
    paths, manifest = photos
    _, data = open_training(WORK, manifest, is_cached=False)
    index = data.index
    assert 0 < len(index.dropped)
    band = {"low": WORK.low, "high": WORK.high}
    read = tile_reader(data.source, index, data.features, random_tiles=True, **band)
    rows_of = rows_by_image(index)
    origins = [index.layouts[n].grid.origins[index.number[rows]] for n, rows in enumerate(rows_of)]
    peer, put_back = PhotoTiles(paths, origins, WORK), 0
    for number, rows in enumerate(rows_of):
        for seed in range(10):
            # As a bag of several tiles draws them.
            rng = np.random.default_rng(seed)
            chosen = np.sort(rng.choice(rows, WORK.tiles, replace=False))
            ours = read(number, chosen, rng)[0]["tiles"]
            np.testing.assert_array_equal(peer.read(number, np.random.default_rng(seed)), ours)
            still = data.source.tiles(number, index.layouts[number], index.number[chosen])
            put_back += int((ours == still).all(axis=(1, 2, 3)).sum())
    assert 0 < put_back < 10 * 4 * WORK.tiles


def test_our_stream_gives_tiles_of_the_photos_in_the_band(photos):
    paths, manifest = photos
    with build_iqa_jax(WORK, manifest, is_cached=False)() as batches:
        taken = [next(batches) for _ in range(2)]
    assert sorted(np.concatenate([batch["image_id"] for batch in taken])) == [0, 1, 2, 3]
    for batch in taken:
        assert batch["tiles"].shape == (2, 3, 32, 32, 3) and batch["tile_mask"].all()
        for image_id, tiles in zip(batch["image_id"], batch["tiles"], strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(load(paths[image_id]), (32, 32, 3))
            for tile in tiles:
                assert (windows[:, :, 0] == tile).all(axis=(2, 3, 4)).any()
                grey = cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)
                assert WORK.low <= np.count_nonzero(cv2.Canny(grey, 50, 70)) <= WORK.high
