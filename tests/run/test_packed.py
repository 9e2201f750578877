"""A run in one file: it answers as its workdir does, and gives nothing away but that."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from iqa_jax.modes.evaluate import evaluate
from iqa_jax.modes.export import export
from iqa_jax.run.packed import is_run, open_run, unpack
from iqa_jax.run.seen import seen_by
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted import FILES
from iqa_jax.scoring.image_explainer import load_explainer
from iqa_jax.scoring.quality_scorer import load_scorer


@pytest.fixture(scope="module")
def packed(tiny_run, tmp_path_factory):
    """The file of a finished run; only to be read."""
    path = tmp_path_factory.mktemp("packed") / "tiny.safetensors"
    assert export(Workdir(tiny_run), str(path)) == 0
    return path


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.usefixtures("one_device")
def test_it_answers_and_explains_as_the_workdir_does(packed, tiny_run, tiny_manifest):
    photos = [str(tiny_manifest.parent / f"scene4_{take}.png") for take in range(4)]
    whole, one_file = (load_scorer(place).score(photos) for place in (tiny_run, packed))
    pd.testing.assert_frame_equal(whole, one_file)
    assert whole["score"].notna().all() and whole["uncertainty"].notna().all()
    maps = [load_explainer(place).explain(photos[0]).maps.grad_cam for place in (tiny_run, packed)]
    np.testing.assert_array_equal(*maps)


@pytest.mark.usefixtures("one_device")
def test_it_is_evaluated_on_labels_of_ones_own(
    packed, tiny_run, tiny_manifest, tmp_path, monkeypatch
):
    mine = pd.read_csv(tiny_manifest).drop(columns="split")
    mine["path"] = [str(tiny_manifest.parent / path) for path in mine["path"]]
    mine[mine["group"] == "scene5"].to_csv(tmp_path / "mine.csv", index=False)
    monkeypatch.chdir(tmp_path)
    run = open_run(packed)
    evaluate(run, "", "mine.csv", "")
    (folder,) = tmp_path.glob("evaluation_mine_*")
    evaluate(Workdir(shutil.copytree(tiny_run, tmp_path / "run")), "", "mine.csv", "")
    (same,) = tmp_path.glob("run/evaluation_mine_*")
    figures = [json.loads((one / "metrics.json").read_text())["all"] for one in (folder, same)]
    assert figures[0] == figures[1] and figures[0]["n"] == 6
    assert (folder / "report.html").stat().st_size > 10_000
    with pytest.raises(WorkdirError, match="give --manifest"):
        evaluate(run, "", "", "")


def test_it_names_no_folder_of_who_made_it(packed, tiny_run, tiny_manifest):
    content = packed.read_bytes() + gzip.decompress((unpack(packed) / "seen.csv.gz").read_bytes())
    for folder in (tiny_run.parent, tiny_manifest.parent):
        assert str(folder).encode() not in content
    assert (
        len(content)
        < 2
        * sum(path.stat().st_size for path in tiny_run.iterdir() if path.suffix in (".npz", ".gz"))
        + 400_000
    )


def test_it_knows_what_the_run_has_seen(packed, tiny_run):
    here, there = (seen_by(run).learnt for run in (open_run(packed), Workdir(tiny_run)))
    same = ["name", "file_row", "split", "group", "content"]
    assert (here["content"] != "").all() and len(here) == 28 + 7
    pd.testing.assert_frame_equal(here[same], there[same])
    # By what they show, wherever they lie.
    assert seen_by(open_run(packed)).among(there).all()


def test_it_holds_every_file_of_what_is_fitted(tiny_run, tmp_path):
    run = Workdir(shutil.copytree(tiny_run, tmp_path / "run"))
    assert len(FILES) == len({*FILES}) == 6
    for name in FILES:
        (run.folder / name).write_bytes(name.encode())
    export(run, str(tmp_path / "x.safetensors"))
    folder = unpack(tmp_path / "x.safetensors")
    for name in FILES:
        assert (folder / name).read_bytes() == name.encode()


def test_it_is_unpacked_once(packed, home):
    folder = unpack(packed)
    assert folder.is_relative_to(home)
    before = (folder / "config.json").stat().st_mtime_ns
    assert unpack(packed) == folder
    assert (folder / "config.json").stat().st_mtime_ns == before
    # Another content is another folder.
    tensors = safetensors.numpy.load(packed.read_bytes())
    name = next(name for name in tensors if name.startswith("params/"))
    tensors[name] = tensors[name] + 1
    other = packed.with_name("other").with_suffix(".safetensors")
    safetensors.numpy.save_file(tensors, other, {"step": "1"})
    assert unpack(other) != folder


def test_a_home_that_cannot_be_written_is_no_hindrance(packed, home):
    home.write_text("a file, where the folder should be")
    assert (unpack(packed) / "config.json").is_file()


def test_no_file_is_written_outside_the_folder(packed, tmp_path):
    tensors = safetensors.numpy.load(packed.read_bytes())
    tensors["files/../../../escaped.txt"] = np.frombuffer(b"gotcha", np.uint8)
    evil = tmp_path / "evil.safetensors"
    safetensors.numpy.save_file(tensors, evil, {"step": "1"})
    folder = unpack(evil)
    assert [path.parent for path in tmp_path.rglob("escaped.txt")] == [folder]


def test_files_that_are_no_run_are_said_to_be_none(packed, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(packed.read_bytes()[:-10])
    weights = Path(__file__).parents[2] / "weights" / "mobilenet_v2_imagenet.safetensors"
    for path, what in (
        (cut, "is damaged"),
        (weights, "holds weights, but no run"),
        (tmp_path / "none.safetensors", "cannot be read"),
    ):
        with pytest.raises(WorkdirError, match=what):
            open_run(path)
        assert not is_run(path)
    assert is_run(packed) and not is_run(tmp_path)
