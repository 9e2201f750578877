"""Order, balance, shares and features of training batches; whole images for evaluation."""

import csv

import cv2
import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.bags import tile_reader, training_batches
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files.images import load
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.nss import nss_features
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tile_index import fit_index_features, index_tiles
from input_pipeline.tiles.tiling import Tiling, edge_sum

LABEL = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")
TILING = Tiling(32, 32, "shift")
MAX_PIXELS = 10**6
NO_FEATURES = FeatureTable()


def read(path, features=()):
    manifest = read_manifest(path, LABEL, features=features)
    source = TileSource(pictures_of(manifest), TILING, max_pixels=MAX_PIXELS, cache_bytes=10**8)
    return manifest, source


@pytest.fixture(scope="module")
def data(tiny_manifest):
    manifest, source = read(tiny_manifest, ["exposure"])
    train = manifest.split("train")
    index = index_tiles(source, train.index[train["label"] >= 0], low=0, threads=2)
    return manifest, source, index


def batches(data, features=NO_FEATURES, **arguments):
    manifest, source, index = data
    defaults = {
        "batch_size": 8,
        "balanced": True,
        "random_tiles": True,
        "low": 0,
        "seed": 0,
        "threads": 2,
    }
    return training_batches(source, index, manifest.images, features, **defaults | arguments)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_same(left, right):
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_shapes_and_dtypes(data):
    batch = next(batches(data))
    described = {key: (value.shape, value.dtype.name) for key, value in batch.items()}
    assert described == {
        "tiles": ((8, 1, 32, 32, 3), "uint8"),
        "tile_mask": ((8, 1), "bool"),
        "tile_position": ((8, 1, 2), "int32"),
        "grid_shape": ((8, 2), "int32"),
        "features": ((8, 1, 0), "float32"),
        "label": ((8,), "int32"),
        "mask": ((8,), "bool"),
        "image_id": ((8,), "int32"),
    }


def test_the_seed_decides_and_threads_do_not(data):
    first = take(batches(data), 4)
    assert_same(first, take(batches(data, threads=1), 4))
    other = take(batches(data, seed=1), 4)
    assert any(
        not np.array_equal(a["image_id"], b["image_id"]) for a, b in zip(first, other, strict=True)
    )


@pytest.mark.parametrize("batch_size", [1, 8])
def test_goes_on_from_a_saved_position(data, batch_size):
    iterator = batches(data, batch_size=batch_size)
    take(iterator, 3)
    position = iterator.get_state()
    rest = take(iterator, 3)
    again = batches(data, batch_size=batch_size)
    again.set_state(position)
    assert_same(rest, take(again, 3))


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("tiles_per_bag", [1, 4])
def test_batches_of_one_give_the_examples_of_larger_ones_in_their_order(
    data, balanced, tiles_per_bag
):
    order = {"balanced": balanced, "tiles_per_bag": tiles_per_bag}
    alone = batches(data, batch_size=1, **order)
    # Two processes with a batch of two make one example each.
    shares = [batches(data, batch_size=2, process=i, processes=2, **order) for i in range(2)]
    for batch in take(batches(data, **order), 4):
        for row in range(8):
            example = {name: values[row : row + 1] for name, values in batch.items()}
            assert_same([example, example], [next(alone), next(shares[row % 2])])


@pytest.mark.parametrize("batch_size", [1, 8])
def test_processes_give_the_batches_that_threads_give(data, batch_size):
    iterator = batches(data, batch_size=batch_size)
    first = take(iterator, 2)
    rest = take(iterator, 3)
    made = batches(data, batch_size=batch_size, workers=2)
    try:
        assert_same(first, take(made, 2))
        position = made.get_state()
        assert_same(rest, take(made, 3))
        made.set_state(position)
        assert_same(rest[:1], take(made, 1))
    finally:
        made.close()
    # A run may go on with another number of them, or with none.
    again = batches(data, batch_size=batch_size)
    again.set_state(position)
    assert_same(rest, take(again, 3))


def test_only_training_images_with_a_label(data):
    manifest = data[0]
    seen = np.concatenate([batch["image_id"] for batch in take(batches(data), 12)])
    rows = manifest.images.iloc[seen]
    assert set(rows["split"]) == {"train"}
    assert set(rows["label_text"]) == {"bad", "good"}
    labels = np.concatenate([batch["label"] for batch in take(batches(data), 12)])
    np.testing.assert_array_equal(labels, rows["label"])


def test_balance(data):
    manifest, source, index = data
    is_kept = (manifest.images["label"].to_numpy()[index.image_id] == 1) | (index.image_id < 7)
    rare = type(index)(
        index.image_id[is_kept],
        index.number[is_kept],
        index.measured_of(is_kept),
        index.layouts,
        index.dropped,
        index.errors,
    )
    counts = {
        balanced: np.bincount(
            np.concatenate(
                [b["label"] for b in take(batches((manifest, source, rare), balanced=balanced), 10)]
            )
        )
        for balanced in (True, False)
    }
    assert counts[True][0] == counts[True][1]
    assert counts[False][0] < counts[False][1] / 2


def test_shares_say_how_often_each_label_is_drawn(data):
    drawn = take(batches(data, shares=(1.0, 3.0)), 10)
    # Not at random: in every stretch of four there is one of the first.
    labels = np.concatenate([batch["label"] for batch in drawn])
    np.testing.assert_array_equal((labels.reshape(-1, 4) == 1).sum(axis=1), 3)


def test_an_epoch_without_balance_gives_every_tile_once(data):
    _, source, index = data
    epoch = take(batches(data, balanced=False, random_tiles=False), len(index) // 8)
    seen = {
        (int(i), *map(int, position))
        for batch in epoch
        for i, position in zip(batch["image_id"], batch["tile_position"][:, 0], strict=True)
    }
    assert len(seen) == len(index) == 8 * len(epoch)


def test_random_tiles_move_but_stay_in_the_edge_band(data):
    manifest, source, index = data
    low = int(np.median(index.edge_sum))
    high = int(index.edge_sum.max()) - 1
    band = index_tiles(source, sorted(index.layouts), low=low, high=high, threads=2)
    assert 0 < len(band) < len(index)
    assert len(band) + len(band.dropped) == len(index)
    fixed, moved = (
        take(batches((manifest, source, band), low=low, high=high, random_tiles=random), 10)
        for random in (False, True)
    )
    sums = [edge_sum(tile) for batch in moved for tile in batch["tiles"][:, 0]]
    assert low <= min(sums) and max(sums) <= high
    assert any(
        not np.array_equal(a["tiles"], b["tiles"]) for a, b in zip(fixed, moved, strict=True)
    )


def test_tiles_at_random_scales_are_parts_of_the_image_at_every_scale_as_often(data):
    manifest, source, index = data
    drawn = take(batches(data, random_scales=(0.5, 2.0), balanced=False), 20)
    counts = dict.fromkeys((0.5, 1.0, 2.0), 0)
    for batch in drawn:
        for image_id, tile in zip(batch["image_id"], batch["tiles"][:, 0], strict=True):
            image = source.image(int(image_id))
            found = [scale for scale in counts if is_part(tile, image, scale)]
            assert found
            if len(found) == 1:  # A dark sky is the same at every scale.
                counts[found[0]] += 1
    assert all(30 < count < 70 for count in counts.values()), counts


def is_part(tile, image, scale):
    """Says whether a tile of 32x32 pixels is cut out of an image of 64x64 at some scale."""
    side = round(64 * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = image if scale == 1 else cv2.resize(image, (side, side), interpolation=how)
    windows = np.lib.stride_tricks.sliding_window_view(resized, (32, 32, 3))[:, :, 0]
    return bool((windows == tile).all(axis=(2, 3, 4)).any())


def test_an_image_is_decoded_once_for_all_tiles_of_a_bag(data, monkeypatch):
    manifest, _, index = data
    decoded = []

    def count(path, **arguments):
        decoded.append(path)
        return load(path, **arguments)

    monkeypatch.setattr("input_pipeline.tiles.sources.load", count)
    source = TileSource(pictures_of(manifest), TILING, max_pixels=MAX_PIXELS)
    rows = np.flatnonzero(index.image_id == 0)
    # No moved tile is in the band, so that each is cut a second time.
    read_bag = tile_reader(source, index, NO_FEATURES, random_tiles=True, low=10**6)
    tiles = read_bag(0, rows, np.random.default_rng(0))[0]["tiles"]
    assert decoded == [manifest.images["path"][0]]
    np.testing.assert_array_equal(tiles, source.tiles(0, index.layouts[0]))


def test_two_processes_share_what_one_would_read(data):
    def examples(iterators):
        found = []
        for iterator in iterators:
            batch = next(iterator)
            found += [
                (int(i), tile.tobytes())
                for i, tile in zip(batch["image_id"], batch["tiles"], strict=True)
            ]
        return sorted(found)

    alone = batches(data)
    shares = [batches(data, process=number, processes=2) for number in range(2)]
    for _ in range(4):
        assert examples([alone]) == examples(shares)


def test_features_are_standardised_on_the_training_tiles(data):
    manifest, _, index = data
    names = ("n_tiles", "edge_sum", "exposure")
    features = fit_index_features(names, index, manifest.images)
    epoch = take(batches(data, features, balanced=False, random_tiles=False), len(index) // 8)
    values = np.concatenate([batch["features"][:, 0] for batch in epoch])
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-5)
    # All images have the same number of tiles: nothing to scale there.
    np.testing.assert_allclose(values.std(axis=0), (0, 1, 1), atol=1e-5)


def test_features_of_a_small_image_are_the_same_in_training_and_evaluation(tmp_path):
    # Half of each tile is padding, whose edges must not count in either.
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 16, 3), dtype=np.uint8) for _ in range(4)]
    source = TileSource(pictures, TILING, max_pixels=MAX_PIXELS)
    images = pd.DataFrame({"label": np.array([0, 1, 0, 1], np.int32)})
    index = index_tiles(source, range(4), low=0, threads=1)
    features = FeatureTable(("edge_sum",), (0.0,), (1.0,))
    evaluated = {
        bag.image_id: bag.features[0, 0]
        for bag in whole_bags(source, range(4), features, images, threads=1)
    }
    batch = next(batches((type("M", (), {"images": images}), source, index), features))
    for image_id, value in zip(batch["image_id"], batch["features"][:, 0, 0], strict=True):
        assert value == evaluated[int(image_id)]


def test_statistics_of_a_tile_are_its_own_and_scaled_on_the_training_tiles(data):
    manifest, source, edges = data
    ids = sorted(edges.layouts)
    index = index_tiles(source, ids, low=0, measures=("nss",), threads=2)
    features = fit_index_features(("n_tiles", "nss"), index, manifest.images)
    tiles = [source.tiles(image_id, source.layout(image_id)) for image_id in ids]
    raw = np.array([nss_features(tile) for tile in np.concatenate(tiles)])

    def expected(tiles):
        scaled = [(nss_features(tile) - raw.mean(axis=0)) / raw.std(axis=0) for tile in tiles]
        return np.insert(scaled, 0, 0, axis=1)  # All have the same number of tiles.

    # Moved tiles have other statistics than those of the grid.
    for random_tiles in (False, True):
        drawn = take(batches((manifest, source, index), features, random_tiles=random_tiles), 2)
        for batch in drawn:
            np.testing.assert_allclose(
                batch["features"][:, 0], expected(batch["tiles"][:, 0]), rtol=1e-4, atol=1e-5
            )
    tested = manifest.split("test").index
    bags = list(whole_bags(source, tested, features, manifest.images, threads=2))
    assert [bag.image_id for bag in bags] == list(tested)
    for bag in bags:
        np.testing.assert_allclose(bag.features, expected(bag.tiles), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def cut_manifest(tiny_manifest, tmp_path_factory):
    """The tiny manifest with every image cut into files of its tiles, rows in another order."""
    folder = tmp_path_factory.mktemp("cut")
    table = pd.read_csv(tiny_manifest)
    rows = []
    for entry in table.itertuples():
        image = cv2.imread(str(tiny_manifest.parent / entry.path))
        for row, column in ((1, 1), (0, 0), (1, 0), (0, 1)):
            name = f"{entry.path[:-4]}_{row}_{column}.png"
            tile = image[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            cv2.imwrite(str(folder / name), tile)
            rows.append((name, entry.path, row, column, entry.label, entry.group, entry.split))
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "image", "row", "column", "label", "group", "split"))
        writer.writerows(rows)
    return path


def test_tiles_already_cut_are_the_same_tiles(tiny_manifest, cut_manifest):
    parts = []
    for path in (tiny_manifest, cut_manifest):
        manifest, source = read(path)
        train = manifest.split("train")
        index = index_tiles(source, train.index[train["label"] >= 0], low=0, threads=2)
        bags = whole_bags(source, manifest.images.index, NO_FEATURES, threads=2)
        parts.append((take(batches((manifest, source, index), random_tiles=False), 3), list(bags)))
    assert_same(parts[0][0], parts[1][0])
    for whole, cut in zip(parts[0][1], parts[1][1], strict=True):
        np.testing.assert_array_equal(whole.tiles, cut.tiles)
        np.testing.assert_array_equal(whole.layout.grid.positions, cut.layout.grid.positions)
        assert whole.layout.grid.shape == cut.layout.grid.shape


def test_a_tile_file_larger_than_a_tile_is_an_error(cut_manifest):
    manifest = read_manifest(cut_manifest, LABEL)
    source = TileSource(pictures_of(manifest), Tiling(16, 16), max_pixels=MAX_PIXELS)
    (bag,) = whole_bags(source, [0], NO_FEATURES, threads=1)
    assert "set tiles.size to the size of the tile files" in bag.error
