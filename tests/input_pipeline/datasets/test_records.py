"""Any reader of TFDS finds what is written, with its labels as the manifest has them."""

import numpy as np
import pandas as pd

from input_pipeline.tables.regions import find_regions
from iqa_jax.modes.prepare import prepare
from iqa_jax.run import build


def open_data(config):
    manifest = build.manifest_from_config(config)
    return manifest, build.source_from_config(config, manifest, cached=True)


def test_any_reader_of_tfds_finds_it(prepared, tiny_manifest):
    import tensorflow_datasets as tfds

    table = pd.read_csv(tiny_manifest).set_index("path")
    builder = tfds.builder_from_directory(prepared["images"])
    assert {name: info.num_examples for name, info in builder.info.splits.items()} == {
        "train": 28, "val": 7, "test": 7,
    }  # fmt: skip
    assert builder.info.splits["train"].num_shards == 6
    assert "lowest quality first: bad, marginal, good" in builder.info.description
    assert builder.info.metadata["label"]["classes"] == ["bad", "good"]
    source = builder.as_data_source("val")
    for example in source:
        row = table.loc[example["path"].decode()]
        assert example["label"].decode() == row["label"]
        assert example["group"].decode() == row["group"]
        image = build.TileSource(
            [tiny_manifest.parent / row.name], build.Tiling(32, 32, "shift"), max_pixels=10**6
        ).image(0)
        np.testing.assert_array_equal(example["image"], image)
    tiles = tfds.builder_from_directory(prepared["tiles"])
    assert tiles.info.splits["test"].num_examples == 7 * 4
    first = tiles.as_data_source("test")[1]
    assert (first["row"], first["column"]) == (0, 1) and first["image"].shape == (32, 32, 3)


def test_opinion_scores_and_masks_are_kept(tiny_config, tiny_manifest, tmp_path):
    import tensorflow_datasets as tfds

    table = pd.read_csv(tiny_manifest)[["path"]].iloc[::6]
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    # Difference scores: lower is better; the manifest leaves the splits to be drawn.
    table["mos"] = np.linspace(0.062, 0.875, len(table))
    table["mos_std"] = 0.042
    table["region"] = ["masks/a.png", *[""] * (len(table) - 1)]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.update_from_flattened_dict({
        "data.manifest": str(tmp_path / "manifest.csv"), "data.label_kind": "numeric",
        "data.label_column": "mos", "data.label_std_column": "mos_std", "data.features": (),
        "data.maximum": 1.0, "data.higher_is_better": False, "balanced_sampling": False,
        "early_stopping.metric": "srcc",
    })  # fmt: skip
    assert prepare(tiny_config, str(tmp_path / "set")) == 0
    other = tiny_config.copy_and_resolve_references()
    other.data.manifest = str(tmp_path / "set")
    (manifest, _), (found, _) = open_data(tiny_config), open_data(other)
    columns = ["name", "label", "label_text", "group", "split", "mos_std"]
    pd.testing.assert_frame_equal(manifest.images[columns], found.images[columns])
    assert manifest.images["label"].is_monotonic_decreasing
    assert find_regions(manifest) == find_regions(found) == {0: tmp_path / "masks" / "a.png"}
    # For other readers of TFDS the scores are as the manifest has them.
    builder = tfds.builder_from_directory(tmp_path / "set")
    assert "from 0 to 1, lower is better" in builder.info.description
    scores = {
        example["path"].decode(): (example["label"], example["mos_std"])
        for source in builder.as_data_source().values()
        for example in source
    }
    for path, mos in table[["path", "mos"]].itertuples(index=False):
        assert scores[path] == (np.float32(mos), np.float32(0.042))
