"""Dropped tiles train nothing, and a list that makes no sense is refused with its rows."""

import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.bags import training_batches
from input_pipeline.batches.embeddings import embedding_batches
from input_pipeline.tables.dropped_tiles import drop_tiles
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tile_index import index_tiles, without_tiles
from input_pipeline.tiles.tiling import Tiling

LABEL = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")
ORDER = {"batch_size": 4, "balanced": False, "seed": 0, "threads": 1}


def write(folder, rows, columns=("image", "row", "column")):
    path = folder / "dropped_tiles.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


@pytest.fixture
def data(tiny_manifest):
    manifest = read_manifest(tiny_manifest, LABEL)
    source = TileSource(pictures_of(manifest), Tiling(32, 32, "shift"), max_pixels=10**6)
    return manifest, source, index_tiles(source, range(4), low=0, measures=(), threads=1)


def seen_places(batches, count):
    return {
        (int(image_id), *position.tolist())
        for _ in range(count)
        for batch in [next(batches)]
        for image_id, position in zip(batch["image_id"], batch["tile_position"][:, 0], strict=True)
    }


def stream(kind, data, index, **changes):
    manifest, source, _ = data
    arguments = {"tiles_per_bag": 1, **ORDER, **changes}
    features = FeatureTable()
    if kind == "tiles":
        return training_batches(
            source, index, manifest.images, features, random_tiles=True, low=0, **arguments
        )

    # An embedding that says which tile of which image it is.
    def read(image_id):
        return 10.0 * image_id + np.arange(4, dtype=np.float32)[None, :, None]

    return embedding_batches(read, index, manifest.images, features, **arguments)


@pytest.mark.parametrize("kind", ["tiles", "embeddings"])
def test_every_tile_but_the_dropped_is_an_example_of_an_epoch(data, kind):
    index = data[2]
    dropped = {(0, 0, 1), (0, 1, 1), (2, 0, 0), (3, 1, 0), (3, 7, 7), (40, 0, 0)}
    everything = {(i, row, column) for i in range(4) for row in (0, 1) for column in (0, 1)}
    assert seen_places(stream(kind, data, index), 4) == everything
    left = without_tiles(index, dropped)
    assert len(left) == 12
    assert seen_places(stream(kind, data, left), 3) == everything - dropped


def test_an_example_on_embeddings_is_the_tile_that_it_says(data):
    batches = stream("embeddings", data, data[2])
    for _ in range(4):
        batch = next(batches)
        number = 2 * batch["tile_position"][:, 0, 0] + batch["tile_position"][:, 0, 1]
        np.testing.assert_array_equal(batch["embeddings"][:, 0, 0], 10 * batch["image_id"] + number)


def test_a_bag_has_no_dropped_tile_and_no_bag_is_empty(data):
    dropped = {(1, 0, 0)} | {(2, row, column) for row in (0, 1) for column in (0, 1)}
    batches = stream(
        "embeddings", data, without_tiles(data[2], dropped), tiles_per_bag=4, batch_size=3
    )
    batch = next(batches)
    assert sorted(batch["image_id"]) == [0, 1, 3]
    count = dict(zip(batch["image_id"].tolist(), batch["tile_mask"].sum(axis=1), strict=True))
    assert count == {0: 4, 1: 3, 3: 4}


def test_the_list_is_part_of_what_a_run_is(data, tmp_path):
    manifest, name = data[0], data[0].images["name"][0]
    one = drop_tiles(manifest, write(tmp_path, [(name, 0, 1)]))
    assert one.dropped_tiles == {(0, 0, 1)} and not manifest.dropped_tiles
    other = drop_tiles(manifest, write(tmp_path, [(name, 1, 1)]))
    assert len({manifest.digest, one.digest, other.digest}) == 3
    with_reason = write(tmp_path, [(name, 0, 1, "x")], ("image", "row", "column", "reason"))
    again = drop_tiles(manifest, with_reason)
    assert again.digest == one.digest


def test_a_list_that_makes_no_sense_is_refused_with_its_rows(data, tmp_path):
    manifest, name = data[0], data[0].images["name"][0]
    with pytest.raises(ManifestError) as refused:
        drop_tiles(manifest, write(tmp_path, [(name, 0, 0), ("no.png", 0, 0), (name, -1, "x")]))
    assert len(refused.value.problems) == 3
    assert "row 3: 'no.png' is no image of" in str(refused.value)
    assert "row 4: the tile's row must be a whole number" in str(refused.value)
    with pytest.raises(ManifestError, match="no column 'column'"):
        drop_tiles(manifest, write(tmp_path, [(name, 0)], ("image", "row")))
