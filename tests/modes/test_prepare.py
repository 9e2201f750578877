"""A prepared data set gives what its manifest gives, bit for bit, and is whole or not usable."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.bags import training_batches
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.checks.audit import audit
from input_pipeline.datasets import records
from input_pipeline.extras import MissingExtraError
from input_pipeline.files.images import ImageError
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.tile_index import fit_index_features, index_tiles
from iqa_jax.modes import prepare as prepare_module
from iqa_jax.modes.prepare import prepare
from iqa_jax.run import build
from iqa_jax.run.workdir import WorkdirError


@pytest.fixture(params=["as_given", "drawn"])
def config(request, tiny_config, tiny_manifest, tmp_path):
    """A config whose manifest has splits, or leaves them to be drawn."""
    if request.param == "drawn":
        table = pd.read_csv(tiny_manifest).drop(columns="split")
        table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
        table.to_csv(tmp_path / "manifest.csv", index=False)
        tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    return tiny_config


def open_data(config):
    manifest = build.manifest_from_config(config)
    return manifest, build.source_from_config(config, manifest, cached=True)


def batches_of(config, count):
    """The first training batches of a config, without a network."""
    manifest, source = open_data(config)
    index = index_tiles(source, manifest.split("train").index[:20], low=0)
    features = fit_index_features(config.data.features, index, manifest.images)
    stream = training_batches(
        source, index, manifest.images, features, random_tiles=config.tiles.random, low=0,
        tiles_per_bag=1,
        batch_size=8, balanced=True, seed=3, threads=2,
    )  # fmt: skip
    return [next(stream) for _ in range(count)], features


def bags_of(config, features):
    manifest, source = open_data(config)
    return list(whole_bags(source, manifest.images.index, features, manifest.images, threads=2))


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        assert np.asarray(first[name]).dtype == np.asarray(second[name]).dtype


def assert_same_data(config, other):
    (batches, features), (others, other_features) = batches_of(config, 6), batches_of(other, 6)
    assert features == other_features
    for batch, found in zip(batches, others, strict=True):
        assert_same(batch, found)
    bags, found = bags_of(config, features), bags_of(other, features)
    assert len(bags) == len(found) == 42
    for bag, same in zip(bags, found, strict=True):
        assert (bag.image_id, bag.error) == (same.image_id, same.error) == (bag.image_id, "")
        assert_same({"tiles": bag.tiles, "features": bag.features},
                    {"tiles": same.tiles, "features": same.features})  # fmt: skip
        assert bag.layout.grid.shape == same.layout.grid.shape
        np.testing.assert_array_equal(bag.layout.grid.positions, same.layout.grid.positions)


def test_images_give_the_same_batches_and_bags_as_their_manifest(config, tmp_path):
    config.data.features = ("n_tiles", "edge_sum", "exposure")
    config.prepare.images_per_shard = 5
    assert prepare(config, str(tmp_path / "set")) == 0
    other = config.copy_and_resolve_references()
    other.data.manifest = str(tmp_path / "set")
    assert_same_data(config, other)
    # The same table and the same bytes: runs, caches and leak checks cannot tell them apart.
    (manifest, source), (found, same) = open_data(config), open_data(other)
    assert manifest.digest == found.digest
    assert manifest.images["name"].tolist() == found.images["name"].tolist()
    assert [source.content(i) for i in (0, 41)] == [same.content(i) for i in (0, 41)]
    audits = [
        audit(one, tiling=source.tiling, max_pixels=10**6, needed=("train", "val"))
        for one in (manifest, found)
    ]
    pd.testing.assert_frame_equal(audits[0].table, audits[1].table)
    assert audits[0].errors == audits[1].errors and not audits[1].bad_images


def test_tiles_give_the_same_batches_and_bags_as_cutting_them(prepared, tiny_config):
    tiny_config.tiles.random = False
    other = tiny_config.copy_and_resolve_references()
    other.data.manifest = str(prepared["tiles"])
    assert_same_data(tiny_config, other)


@pytest.mark.parametrize(("key", "value"), [("shrink", 2), ("reference_side", 32)])
def test_tiles_of_smaller_images_are_not_made_smaller_again(tiny_config, tmp_path, key, value):
    tiny_config.tiles.random, tiny_config.tiles[key] = False, value
    tiny_config.prepare.what = "tiles"
    assert prepare(tiny_config, str(tmp_path / "set")) == 0
    other = tiny_config.copy_and_resolve_references()
    other.data.manifest = str(tmp_path / "set")
    assert_same_data(tiny_config, other)
    assert len(open_data(other)[0].tiles) == 42  # One of 32² pixels per image of 64².


def test_a_killed_run_goes_on_after_its_last_whole_shard(tiny_config, tmp_path, monkeypatch):
    tiny_config.prepare.images_per_shard = 4
    tiny_config.host.threads = 1
    folder, write, made = tmp_path / "set", records.write_shard, []

    def die(plan, name):
        if len(made) == 3:
            # As a kill between two shards, with one begun.
            (plan.shards / f"{name}.0.part").write_bytes(b"half")
            raise KeyboardInterrupt
        made.append(name)
        write(plan, name)

    monkeypatch.setattr(prepare_module, "write_shard", die)
    with pytest.raises(KeyboardInterrupt):
        prepare(tiny_config, str(folder))
    tiny_config.data.manifest, original = str(folder), tiny_config.data.manifest
    with pytest.raises(ManifestError, match="not finished; run the same"):
        build.manifest_from_config(tiny_config)
    tiny_config.data.manifest = original
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.array_record-*")}
    assert len(before) == 3
    # What says that the third is done is damaged: it is made again.
    (folder / "shards" / f"{made.pop()}.done").write_text("{")
    del before[max(before)]

    again = []
    monkeypatch.setattr(
        prepare_module, "write_shard", lambda plan, name: (again.append(name), write(plan, name))
    )
    assert prepare(tiny_config, str(folder)) == 0
    assert not set(again) & set(made) and len(again) + len(made) == 7 + 2 + 2
    for name, time in before.items():
        assert (folder / name).stat().st_mtime_ns == time
    assert not (folder / "shards").exists()
    whole = tmp_path / "whole"
    monkeypatch.setattr(prepare_module, "write_shard", write)
    assert prepare(tiny_config, str(whole)) == 0
    for path in whole.iterdir():
        if path.name != "dataset_info.json":
            assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
    # Once finished, the same command has nothing to do.
    monkeypatch.setattr(prepare_module, "write_shard", None)
    assert prepare(tiny_config, str(folder)) == 0


def test_a_bad_image_is_left_out_and_told(tiny_config, tiny_manifest, tmp_path):
    table = pd.read_csv(tiny_manifest)
    for path in table["path"]:
        shutil.copy(tiny_manifest.parent / path, tmp_path)
    # One whole shard and an image in the middle of another.
    bad = [*table["path"][:3], table["path"][10]]
    (tmp_path / bad[0]).unlink()
    (tmp_path / bad[1]).write_bytes(b"")
    for name in bad[2:]:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:900])
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    tiny_config.prepare.images_per_shard = 3
    folder = tmp_path / "set"
    assert prepare(tiny_config, str(folder)) == 3
    errors = pd.read_csv(folder / "errors.csv")
    assert errors["path"].tolist() == bad
    for word, error in zip(["cannot be read", "empty", "damaged", "damaged"], errors["error"],
                           strict=True):  # fmt: skip
        assert word in error
    # Told again by a run that finds all done.
    assert prepare(tiny_config, str(folder)) == 3
    kept = table[~table["path"].isin(bad)]
    other = tiny_config.copy_and_resolve_references()
    other.data.manifest = str(folder)
    kept.to_csv(tmp_path / "manifest.csv", index=False)
    manifest, source = open_data(tiny_config)
    found, same = open_data(other)
    assert found.images["name"].tolist() == kept["path"].tolist()
    for image_id in manifest.images.index:
        assert source.content(image_id) == same.content(image_id)
    for path in kept["path"][kept["split"] == "val"]:
        (tmp_path / path).write_bytes(b"")
    with pytest.raises(ImageError, match="no image of the split 'val' could be used"):
        prepare(tiny_config, str(tmp_path / "other"))


def test_a_folder_that_holds_something_else_is_refused(prepared, tiny_config, tmp_path):
    with pytest.raises(WorkdirError, match=r"another data set \(what, tiling, features, "):
        tiny_config.prepare.images_per_shard = 5
        tiny_config.data.features = ("exposure",)
        prepare(tiny_config, str(prepared["tiles"]))
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(WorkdirError, match="is no prepared data set; give another"):
        prepare(tiny_config, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_what_cannot_be_prepared_is_said(prepared, tiny_config, tiny_manifest, tmp_path):
    tiny_config.data.label_kind = "ranking"
    with pytest.raises(ManifestError, match="only images with labels can be prepared"):
        prepare(tiny_config, str(tmp_path / "set"))
    tiny_config.data.label_kind, tiny_config.prepare.what = "binary", "tiles"
    tiny_config.data.manifest = str(prepared["tiles"])
    with pytest.raises(ManifestError, match="tiles already cut; set prepare.what to images"):
        prepare(tiny_config, str(tmp_path / "set"))
    empty = tmp_path / "empty.csv"
    empty.write_text("path,label\n")
    tiny_config.data.manifest = str(empty)
    with pytest.raises(ManifestError, match="no rows below its header"):
        prepare(tiny_config, str(tmp_path / "set"))
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.replace({"split": {"test": "test set"}}).to_csv(empty, index=False)
    with pytest.raises(ManifestError, match="rename the split 'test set'"):
        prepare(tiny_config, str(tmp_path / "set"))
    if "apache_beam" not in sys.modules:
        tiny_config.data.manifest, tiny_config.prepare.what = str(tiny_manifest), "images"
        sys.modules["apache_beam"] = None
        with pytest.raises(MissingExtraError, match=r"iqa_jax\[beam\]"):
            prepare(tiny_config, str(tmp_path / "set"), "--runner=DirectRunner")
        del sys.modules["apache_beam"]


def test_rankings_are_learnt_from_it_as_from_a_manifest(prepared, tiny_config, tiny_manifest):
    # Kinds without a label column read a folder as images, but not this one.
    tiny_config.data.label_kind, tiny_config.data.classes = "ranking", ()
    tiny_config.data.features = ()
    tables = []
    for path in (tiny_manifest, prepared["images"]):
        tiny_config.data.manifest = str(path)
        tables.append(read_manifest(path, build.label_from_config(tiny_config)).images)
    assert tables[1]["path"][0] == f"{prepared['images']}/train[0]"
    columns = ["name", "group", "split"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])


def test_the_command_line(start_main, tiny_manifest, tmp_path):
    process = start_main(
        "--mode=prepare", "--config=configs/default.py", f"--output={tmp_path / 'set'}",
        f"--config.data.manifest={tiny_manifest}", "--config.prepare.images_per_shard=20",
    )  # fmt: skip
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "42 images, 0 left out" in said
    assert len(list((tmp_path / "set").glob("images-train.array_record-*-of-00002"))) == 2


def test_beam_writes_what_threads_write(tiny_config, prepared, tmp_path):
    pytest.importorskip("apache_beam", reason="needs requirements-beam.txt")
    tiny_config.prepare.images_per_shard = 5
    folder = tmp_path / "set"
    assert prepare(tiny_config, str(folder), "--runner=DirectRunner") == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in prepared["images"].iterdir()}
    for name in names - {"dataset_info.json"}:
        assert (folder / name).read_bytes() == (prepared["images"] / name).read_bytes(), name
