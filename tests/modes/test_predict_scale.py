"""`predict` on lists: every input has one row, whatever is stopped, shared out, equal or huge."""

import dataclasses
import importlib.util
import shutil
import time

import jax
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes import predict as predict_module
from iqa_jax.modes.predict import predict
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring import quality_scorer
from iqa_jax.scoring.quality_scorer import load_scorer, quality_scorer_from_config
from iqa_jax.scoring.tables import part_files as parts_module
from tiny import ROOT


@pytest.fixture(scope="module")
def scorer(tiny_run):
    """One scorer for all starts: what it compiles, it compiles once, and for one device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_devices", lambda devices=jax.devices()[:1]: devices)
        return load_scorer(tiny_run)


@pytest.fixture(autouse=True)
def _small(monkeypatch, scorer):
    monkeypatch.setattr(predict_module, "load_scorer", lambda folder: scorer)
    monkeypatch.setattr(quality_scorer, "_INPUTS_PER_BLOCK", 4)
    monkeypatch.setattr(parts_module, "ROWS_PER_PART", 2)


@pytest.fixture
def photos(tiny_manifest, tmp_path):
    """A list of nine: six photos, one of them twice by name, a copy of one, and a broken pair."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        shutil.copy(tiny_manifest.parent / f"scene{number}_0.png", folder / f"{number}.png")
    shutil.copy(folder / "1.png", folder / "copy.png")
    for name in ("bad.png", "worse.png"):
        (folder / name).write_bytes((folder / "2.png").read_bytes()[:2000])
    lines = ["0", "1", "bad", "2", "copy", "1", "worse", "3", "4", "5"]
    (folder / "list.txt").write_text("".join(f"{line}.png\n" for line in lines))
    return folder / "list.txt"


@pytest.fixture
def encoded(monkeypatch, scorer):
    """Counts the tiles of real images that reach the encoder."""
    counts = []
    whole = quality_scorer.whole_bags

    def count(*arguments, **more):
        for bag in whole(*arguments, **more):
            counts.append(len(bag.tiles))
            yield bag

    monkeypatch.setattr(quality_scorer, "whole_bags", count)
    return counts


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


def start(tiny_run, photos, name, **more) -> pd.DataFrame:
    target = photos.parents[1] / name
    assert predict(Workdir(tiny_run), str(photos), str(target), **more) == SOME_FAILED
    assert not list(target.parent.glob("*part*"))
    return read(target)


def test_a_row_per_line_in_its_order(tiny_run, photos):
    table = start(tiny_run, photos, "scores.csv")
    lines = photos.read_text().split()
    assert list(table["path"]) == [str(photos.parent / line) for line in lines]
    assert list(table["error"] != "") == [line in ("bad.png", "worse.png") for line in lines]
    assert table["score"][1] == table["score"][5] and table["score"].nunique() == 7


def test_shards_are_the_whole(tiny_run, photos):
    whole, target = start(tiny_run, photos, "scores.csv"), photos.parents[1] / "scores.csv"
    for shard in (2, 0, 1):
        predict(Workdir(tiny_run), str(photos), str(target), f"{shard}/3")
    shards = [read(target.with_name(f"scores-{shard:05}-of-00003.csv")) for shard in range(3)]
    assert [len(shard) for shard in shards] == [3, 3, 4]
    together = pd.concat(shards, ignore_index=True)
    assert list(together["path"]) == list(whole["path"])
    for ours, theirs in zip(together["score"], whole["score"], strict=True):
        assert ours == theirs or float(ours) == pytest.approx(float(theirs), abs=1e-6)
    for wrong in ("3/3", "-1/3", "1", "1/0", "a/b"):
        with pytest.raises(WorkdirError, match="give i/n with 0 <= i < n"):
            predict(Workdir(tiny_run), str(photos), str(target), wrong)


@pytest.mark.parametrize("deduplicate", [False, True])
def test_a_stopped_start_scores_the_rest_alone(tiny_run, photos, encoded, monkeypatch, deduplicate):
    whole = start(tiny_run, photos, "whole.csv", deduplicate=deduplicate)
    add = parts_module.Parts.add

    def stop(parts, row):
        if row["path"].endswith("3.png"):
            raise KeyboardInterrupt
        add(parts, row)

    target = photos.parents[1] / "scores.csv"
    with monkeypatch.context() as patch:
        patch.setattr(parts_module.Parts, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(Workdir(tiny_run), str(photos), str(target), deduplicate=deduplicate)
    assert not target.exists()
    with pytest.raises(WorkdirError, match="change in: --deduplicate"):
        predict(Workdir(tiny_run), str(photos), str(target), deduplicate=not deduplicate)
    encoded.clear()
    again = start(tiny_run, photos, "scores.csv", deduplicate=deduplicate)
    assert len(encoded) == 3  # 3.png, 4.png and 5.png.
    assert list(again["path"]) == list(whole["path"])
    assert list(again["error"]) == list(whole["error"])
    for ours, theirs in zip(again["score"], whole["score"], strict=True):
        assert ours == theirs or float(ours) == pytest.approx(float(theirs), abs=1e-6)


def test_a_page_of_a_stopped_start_is_of_all_rows(tiny_run, photos, encoded, monkeypatch):
    whole = start(tiny_run, photos, "whole.csv")
    write, target = predict_module._write_page, photos.parents[1] / "scores.html"

    def stop(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(predict_module, "_write_page", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(Workdir(tiny_run), str(photos), str(target))
    first = target.read_text()
    target.unlink()
    encoded.clear()
    assert predict(Workdir(tiny_run), str(photos), str(target)) == SOME_FAILED
    assert not encoded  # Every row was finished.
    assert target.read_text() == first
    assert "2 images could not be read" in first and first.count('class="name"') == 8
    table = read(target.with_suffix(".csv"))
    assert list(table["path"]) == list(whole["path"])
    assert list(table["fault"]) == list(whole["fault"])
    assert (table["noise"] == "").tolist() == (table["error"] != "").tolist()
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "photos", "scores.csv", "scores.html", "whole.csv",
    ]  # fmt: skip


def test_a_killed_process_goes_on_where_it_was(tiny_run, photos, start_main):
    lines, target = photos.read_text().split(), photos.parents[1] / "scores.csv"
    # A part is a thousand rows; those of missing files are there soon, the rest takes a while.
    names = [f"missing/{number}.png" for number in range(1000)] + lines * 40
    photos.write_text("\n".join(names))
    arguments = ("--mode=predict", f"--workdir={tiny_run}", f"--images={photos}",
                 f"--output={target}")  # fmt: skip
    process, parts = start_main(*arguments, devices=1), target.with_name("scores.csv.parts")
    end = time.monotonic() + 300
    while not list(parts.glob("rows-*.jsonl")):
        assert process.poll() is None and time.monotonic() < end, process.communicate(timeout=1)
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not target.exists()

    process = start_main(*arguments, devices=1)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == SOME_FAILED, errors
    assert f"taking over {target}, which process " in output
    assert "going on after 1000 finished rows" in output
    assert not target.with_name("scores.csv.lock").exists()
    table = read(target)
    assert list(table["path"]) == [str(photos.parent / name) for name in names]
    assert list(table["error"] == "") == [(photos.parent / name).exists() and "bad" not in name
                                          and "worse" not in name for name in names]  # fmt: skip
    assert table[table["error"] == ""].groupby("path")["score"].nunique().max() == 1


def test_a_changed_list_or_checkpoint_is_refused(tiny_run, photos, monkeypatch, scorer):
    target = photos.parents[1] / "scores.csv"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts_module.Parts, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(Workdir(tiny_run), str(photos), str(target))
    known = scorer.fingerprint()
    with monkeypatch.context() as patch:
        variables = jax.tree.map(lambda leaf: leaf + 1, scorer._run.variables)
        patch.setattr(scorer, "_run", dataclasses.replace(scorer._run, variables=variables))
        with pytest.raises(WorkdirError, match="change in: the checkpoint\\."):
            predict(Workdir(tiny_run), str(photos), str(target))
    config = Workdir(tiny_run).config()
    config.host.threads += 1
    assert quality_scorer_from_config(config, scorer._run).fingerprint() == known
    config.uncertainty.coverage = 0.5
    other = quality_scorer_from_config(config, scorer._run)
    with monkeypatch.context() as patch:
        patch.setattr(predict_module, "load_scorer", lambda folder: other)
        with pytest.raises(WorkdirError, match="change in: the settings of the run\\."):
            predict(Workdir(tiny_run), str(photos), str(target))
    text = photos.read_text()
    photos.write_text(text + "6.png\n")
    with pytest.raises(WorkdirError, match="change in: the list of images\\..*delete that folder"):
        predict(Workdir(tiny_run), str(photos), str(target))
    photos.write_text(text)
    start(tiny_run, photos, "scores.csv")


def test_equal_files_are_scored_once_and_have_a_row_each(tiny_run, photos, encoded):
    plain = start(tiny_run, photos, "plain.csv")
    assert len(encoded) == 10
    encoded.clear()
    table = start(tiny_run, photos, "scores.csv", deduplicate=True)
    assert len(encoded) == 7
    for column in table.columns:
        if column not in ("score", "p_bad", "p_good", "uncertainty"):
            assert list(table[column]) == list(plain[column]), column
    # Also the errors, each of which names its own file.
    assert "worse.png" in table["error"][6] and "bad.png" not in table["error"][6]
    assert table["score"][1] == table["score"][4] == table["score"][5]
    good = table["error"] == ""
    np.testing.assert_allclose(
        table["score"][good].astype(float), plain["score"][good].astype(float), atol=1e-6
    )


def test_an_image_read_by_bands_has_the_same_answer(tiny_run, tmp_path, monkeypatch, scorer):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (150, 200, 3)).astype(np.uint8)
    for number, rows in enumerate((16, 7)):
        image = Image.fromarray(np.roll(photo, 40 * number, axis=2))
        image.save(tmp_path / f"{number}.tif", compression="tiff_lzw", tiffinfo={278: rows})
    paths = [tmp_path / "0.tif", tmp_path / "1.tif"]
    whole = scorer.score(paths)
    monkeypatch.setattr(quality_scorer, "_WHOLE_PIXELS", 1000)
    monkeypatch.setattr(scorer, "_max_pixels", 1000)
    read_bands = scorer.score(paths)
    assert list(read_bands["tiles"]) == list(whole["tiles"]) == [35, 35]
    assert (read_bands["error"] == "").all()
    np.testing.assert_allclose(read_bands["score"], whole["score"], atol=1e-6)
    # A strip in the middle that is damaged spoils the image and no other.
    data = bytearray((tmp_path / "0.tif").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = b"\0" * 4000
    (tmp_path / "0.tif").write_bytes(data)
    damaged = scorer.score(paths)
    assert "damaged" in damaged["error"][0] and damaged["tiles"][0] == 0
    assert damaged["score"][1] == pytest.approx(whole["score"][1], abs=1e-6)


def test_the_beam_example_scores_batches(tiny_run, photos, scorer, monkeypatch):
    spec = importlib.util.spec_from_file_location("beam", ROOT / "docs" / "beam_scoring.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example.iqa_jax, "load_scorer", lambda folder: scorer)
    score = example.ScoreImages(str(tiny_run))
    score.setup()
    paths = [str(photos.parent / name) for name in ("0.png", "bad.png", "1.png")]
    rows = list(score.process(paths))
    assert [row["path"] for row in rows] == paths
    expected = scorer.score(paths)
    assert rows[0]["score"] == pytest.approx(expected["score"][0], abs=1e-6)
    assert rows[1]["score"] is None and "bad.png" in rows[1]["error"]
