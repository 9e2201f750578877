"""What is wrong with a picture that is scored all the same stands in its row, in every mode."""

import shutil

import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.embeddings import EmbeddingCache, embedded_bags
from input_pipeline.checks.audit import audit, format_audit
from input_pipeline.files.images import load
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import CutTiles, TileSource
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.modes.explain import explain
from iqa_jax.modes.predict import predict
from iqa_jax.modes.prepare import prepare
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.tables.writers import TABLE_WRITERS
from made_files import P3, encode
from tiff_writer import write_tiff
from tiny import make_tiny_config

# A photograph with bytes that belong to no pixel, and one whose colour profile is damaged.
DAMAGED = encode(quality=90)[:-2] + bytes(50) + b"\xff\xd9"
DAMAGE = "damaged inside (Corrupt JPEG data: "
PIXELS = np.random.default_rng(0).integers(0, 256, (96, 64, 3)).astype(np.uint8)
ODD_TIFF = write_tiff(PIXELS, 2, rows_per_strip=16, more={34675: ("b", P3[:200])})


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(DAMAGED)
    (folder / "b.jpg").write_bytes(encode(quality=90))
    (folder / "c.jpg").write_bytes(DAMAGED)
    (folder / "d.tif").write_bytes(ODD_TIFF)
    (folder / "e.jpg").write_text("no image")
    return folder


@pytest.mark.parametrize("whole_pixels", [32_000_000, 1000])
def test_tables_of_predict(whole_pixels, tiny_run, photos, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("iqa_jax.scoring.quality_scorer._WHOLE_PIXELS", whole_pixels)
    for ending in TABLE_WRITERS:
        target = tmp_path / f"scores{ending}"
        is_once = ending == ".csv"
        status = predict(Workdir(tiny_run), str(photos), str(target), deduplicate=is_once)
        assert status == SOME_FAILED
    for table in (
        pd.read_csv(tmp_path / "scores.csv", keep_default_na=False),
        pd.read_json(tmp_path / "scores.jsonl", lines=True),
        pd.read_parquet(tmp_path / "scores.parquet"),
    ):
        warnings = list(table["warning"])
        assert DAMAGE in warnings[0] and warnings[2] == warnings[0]
        assert "profile is damaged" in warnings[3] and warnings[1] == warnings[4] == ""
        assert list(table["error"][:4]) == [""] * 4 and table["error"][4]
        scores = pd.to_numeric(table["score"][:4])
        assert scores.notna().all() and scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert "Corrupt JPEG" not in capfd.readouterr().err


def test_index_of_explain(tiny_run, photos, tmp_path):
    (photos / "c.jpg").unlink()
    assert explain(Workdir(tiny_run), str(photos), str(tmp_path / "maps")) == SOME_FAILED
    table = pd.read_csv(tmp_path / "maps" / "index.csv", keep_default_na=False)
    assert DAMAGE in table["warning"][0] and table["figure"][0]
    assert list(table["warning"][[1, 3]]) == ["", ""]


def test_predictions_of_evaluate_and_the_audit(tiny_run, tiny_manifest, tmp_path):
    table = pd.read_csv(tiny_manifest)
    table = table[table["split"] == "test"].reset_index(drop=True)
    for name in table["path"]:
        shutil.copy(tiny_manifest.parent / name, tmp_path)
    (tmp_path / table["path"][2]).write_bytes(DAMAGED)
    path = tmp_path / "manifest.csv"
    table.to_csv(path, index=False)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    evaluate_run(Workdir(run), manifest_path=str(path))
    (found,) = run.rglob("*/predictions_test.csv")
    predictions = pd.read_csv(found, keep_default_na=False)
    has_warning = predictions["warning"] != ""
    assert list(predictions["path"][has_warning]) == [table["path"][2]]
    assert DAMAGE in predictions["warning"][2] and predictions["score"][2] != ""

    found = audit(read_manifest(path, None), tiling=Tiling(32, 32), max_pixels=10**6)
    (sentence,) = (warning for warning in found.warnings if "damaged" in warning)
    assert sentence.startswith(f"row 4: {table['path'][2]}: ") and DAMAGE in sentence
    assert sentence in format_audit(found) and not found.bad_images and not found.errors


def test_embeddings_that_are_kept_keep_it(photos, tmp_path):
    cache = EmbeddingCache(tmp_path / "cache", {})
    cache.write("odd", np.zeros((1, 4, 3), np.float32), "it is odd")
    cache.write("even", np.zeros((1, 4, 3), np.float32))
    contents = ["odd", "even"]
    source = TileSource([photos / "d.tif"] * 2, Tiling(48, 48), max_pixels=10**6)
    bags = embedded_bags(
        lambda image_id: cache.read(contents[image_id]), source, [0, 1], FeatureTable(),
        pd.DataFrame(index=[0, 1]), lambda image_id: cache.warning(contents[image_id]),
    )  # fmt: skip
    assert [bag.warning for bag in bags] == ["it is odd", ""]


def test_tiles_already_cut_are_named(photos):
    paths = (str(photos / "b.jpg"), str(photos / "c.jpg"))
    cut = CutTiles(paths, np.array([[0, 0], [0, 1]]))
    source = TileSource([cut], Tiling(512, 512), max_pixels=10**6)
    assert source.warning(0) == ""
    source.tiles(0, source.layout(0))
    assert source.warning(0).startswith(f"{paths[1]}: the file is damaged inside")


def test_a_prepared_data_set_has_the_same_colours_and_says_what_was_wrong(tiny_manifest, tmp_path):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    odd, colored = tmp_path / "odd.jpg", tmp_path / "colored.tif"
    odd.write_bytes(DAMAGED)
    colored.write_bytes(write_tiff(PIXELS[:64], 2, more={34675: ("b", P3)}))
    table.loc[[3, 4], "path"] = [str(odd), str(colored)]
    path = tmp_path / "manifest.csv"
    table.to_csv(path, index=False)
    expected = load(colored)
    assert np.abs(expected.astype(int) - PIXELS[:64]).max() > 10
    for what in ("images", "tiles"):
        config, folder = make_tiny_config(path), tmp_path / what
        config.prepare.what = what
        assert prepare(config, str(folder)) == 0
        warnings = pd.read_csv(folder / "warnings.csv")
        assert list(warnings["path"]) == [str(odd)] and DAMAGE in warnings["warning"][0]
        kept = pd.read_parquet(folder / "manifest.parquet")
        row = kept[kept["path"].str.startswith(str(colored))].iloc[0]
        pixels = load(f"{folder.as_posix()}/{row['tfds_split']}[{row['tfds_index']}]")
        np.testing.assert_array_equal(pixels, expected[: len(pixels), : pixels.shape[1]])
