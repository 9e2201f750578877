"""Files of a workdir that are damaged: a sentence with the name, and what to do."""

import json
import shutil

import numpy as np
import pytest

from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.quality_scorer import load_scorer

FILES = (
    "config.json", "manifest.json", "versions.json", "features.json", "metrics.json",
    "thresholds.json", "calibration.json", "confidence.npz",
)  # fmt: skip


def read(workdir: Workdir, name: str):
    if name == "config.json":
        return workdir.config()
    if name.endswith(".npz"):
        return workdir.read_arrays(name, {})
    return workdir.read_json(name)


@pytest.fixture
def copy(tiny_run, tmp_path):
    return Workdir(shutil.copytree(tiny_run, tmp_path / "run"))


def test_a_file_cut_short_is_named_with_what_to_do(copy):
    there = {path.name for path in copy.folder.iterdir() if path.suffix in (".json", ".npz")}
    assert there == set(FILES)
    for name in FILES:
        path = copy.folder / name
        whole = path.read_bytes()
        assert read(copy, name)
        for kept in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], b"\xff\xfe" + whole):
            path.write_bytes(kept)
            with pytest.raises(WorkdirError) as caught:
                read(copy, name)
            sentence = str(caught.value)
            assert sentence.startswith(f"{path} is damaged or cut short (")
            assert any(word in sentence for word in ("put a copy", "delete it", "give the train"))
        path.write_bytes(whole)


def test_a_file_that_is_gone_is_named_with_what_to_do(copy):
    (copy.folder / "features.json").unlink()
    with pytest.raises(WorkdirError, match="features.json is gone: give the training command"):
        load_scorer(copy.folder)


def test_nothing_answers_with_half_of_what_was_fitted(copy):
    for name in ("thresholds.json", "confidence.npz"):
        path = copy.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:20])
        with pytest.raises(WorkdirError, match=f"{name} is damaged.*: delete it and give the tr"):
            load_scorer(copy.folder)
        path.write_bytes(whole)
    load_scorer(copy.folder)


def test_a_run_to_build_on_is_told_of_too(copy, tiny_config):
    from iqa_jax.run.checks import check_config

    (copy.folder / "config.json").write_text("{")
    tiny_config.model.ensemble = (str(copy.folder),)
    with pytest.raises(WorkdirError, match="config.json is damaged"):
        check_config(tiny_config)


def test_history_that_is_torn_off_is_logged_again_and_a_bad_line_is_named(copy):
    path = copy.folder / "history.jsonl"
    entries = copy.history()
    lines = path.read_text().splitlines(keepends=True)
    assert len(entries) == len(lines) > 2
    path.write_text("".join(lines)[:-5])
    assert copy.history() == entries[:-1]
    path.write_text("".join([lines[0], lines[1][:5] + "\n", *lines[2:]]))
    with pytest.raises(WorkdirError, match="history.jsonl: line 2 is damaged; delete that line"):
        copy.history()


@pytest.mark.parametrize("name", ["some.json", "some.npz"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, name):
    workdir = Workdir(tmp_path)

    def write(value):
        if name.endswith("json"):
            workdir.write_text(name, json.dumps(value))
        else:
            workdir.write_arrays(name, {}, {"value": np.array(value)})

    write([1])
    before = (tmp_path / name).read_bytes()

    def refuse(*_):
        raise OSError("no room")

    monkeypatch.setattr("iqa_jax.run.workdir.os.replace", refuse)
    with pytest.raises(OSError, match="no room"):
        write([2])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before
