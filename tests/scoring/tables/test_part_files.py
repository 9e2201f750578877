"""Rows on the way to a table: each there once, whatever stops the program."""

import errno
import os
import re
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from iqa_jax.run.workdir import WorkdirError
from iqa_jax.scoring.tables import part_files as parts_module
from iqa_jax.scoring.tables.part_files import Parts
from tiny import ROOT

COLUMNS = {"path": str, "score": float, "error": str}
ABOUT = {"the list of images": "a", "--shard": "0/1"}


def row_of(number: int) -> dict:
    return {"path": f"{number}.jpg", "score": number / 7, "error": "", "content": "not a column"}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(parts_module, "ROWS_PER_PART", 3)


def fill(target, stop: int, finish: bool = True) -> None:
    with Parts(target) as parts:
        parts.open(ABOUT)
        for number in range(parts.done, stop):
            parts.add(row_of(number))
        if finish:
            assert parts.finish(COLUMNS) == 0


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_stopped_start_is_gone_on_with(tmp_path, ending):
    target = tmp_path / f"scores{ending}"
    fill(target, 4, finish=False)
    assert not target.exists()
    fill(target, 8, finish=False)
    fill(target, 11)
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    table = read.get(ending, lambda path: pd.read_json(path, lines=True, precise_float=True))(
        target
    )
    assert list(table.columns) == list(COLUMNS)
    assert list(table["path"]) == [f"{number}.jpg" for number in range(11)]
    assert list(table["score"]) == [number / 7 for number in range(11)]
    # Nothing else is left, and the next start begins anew.
    assert list(tmp_path.iterdir()) == [target]


def test_a_kill_loses_no_finished_part_and_repeats_none(tmp_path, start_program):
    script = (
        "import sys, pathlib, test_part_files as t\n"
        "from iqa_jax.scoring.tables import part_files as parts\n"
        "parts.ROWS_PER_PART = 3\n"
        "with parts.Parts(pathlib.Path(sys.argv[1])) as some:\n"
        "    some.open(t.ABOUT)\n"
        "    for number in range(10**9):\n"
        "        some.add(t.row_of(number))\n"
        "        print(some.done, flush=True)\n"
    )
    target = tmp_path / "scores.csv"
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    process = start_program(
        [sys.executable, "-c", script, str(target)], env={**os.environ, "PYTHONPATH": folders}
    )
    said = 0
    for line in process.stdout:
        said = int(line)
        if said >= 30:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Parts(target) as parts:
        parts.open(ABOUT)
        done = parts.done
        assert done >= said >= 30 and done % 3 == 0
        assert [row["path"] for row in parts.read()] == [f"{n}.jpg" for n in range(done)]
    fill(target, done + 2)
    assert list(pd.read_csv(target)["path"]) == [f"{number}.jpg" for number in range(done + 2)]


def test_a_kill_after_the_table_is_complete_leaves_no_trace(tmp_path, monkeypatch):
    target = tmp_path / "scores.csv"
    with monkeypatch.context() as patch:
        # Stopped before the parts are deleted.
        patch.setattr(parts_module.shutil, "rmtree", lambda *_, **__: None)
        fill(target, 7)
    assert len(list(tmp_path.iterdir())) == 2
    fill(target, 5)
    assert list(tmp_path.iterdir()) == [target] and len(pd.read_csv(target)) == 5


def test_other_rows_are_refused(tmp_path):
    target = tmp_path / "scores.csv"
    fill(target, 4, finish=False)
    with pytest.raises(WorkdirError, match=r"change in: the list of images, --shard\. Undo it"):
        Parts(target).open({"the list of images": "b", "--shard": "1/2"})
    fill(target, 5)


def test_a_missing_part_is_noticed(tmp_path):
    target = tmp_path / "scores.csv"
    fill(target, 9, finish=False)
    folder = Parts(target).folder
    (folder / "rows-0000000003-0000000006.jsonl").unlink()
    with pytest.raises(WorkdirError, match=r"from row 3 on, but the next is rows-0000000006"):
        Parts(target).open(ABOUT)
    (folder / "rows-0000000006-0000000009.jsonl").unlink()
    fill(target, 9)
    assert list(pd.read_csv(target)["path"]) == [f"{number}.jpg" for number in range(9)]


def test_two_processes_at_once_make_no_table(tmp_path):
    target = tmp_path / "scores.csv"
    with Parts(target) as one, Parts(target) as other:
        one.open(ABOUT)
        other.open(ABOUT)
        for number in range(3):
            one.add(row_of(number))
        other.add(row_of(0))
        other._write_part()
        with pytest.raises(WorkdirError, match="one process alone writes there"):
            one.finish(COLUMNS)
    assert not target.exists()


@pytest.mark.parametrize("full_at", [1, 3, 5])
def test_a_full_disk_is_a_sentence_and_keeps_what_is_finished(tmp_path, monkeypatch, full_at):
    target, syncs, real = tmp_path / "scores.csv", 0, os.fsync

    def fsync(descriptor):
        nonlocal syncs
        syncs += not os.path.isdir(f"/proc/self/fd/{descriptor}")
        if syncs >= full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(parts_module.os, "fsync", fsync)
        with pytest.raises(WorkdirError) as refused:
            fill(target, 9)
    # Three parts of three rows come after about.json, the table after them.
    done = {1: 0, 3: 3, 5: 9}[full_at]
    assert "scores.csv cannot be written (No space left on device)" in str(refused.value)
    kept = re.search(r"(\d+) finished rows are kept", str(refused.value))
    assert int(kept.group(1) if kept else 0) == done
    assert not list(tmp_path.rglob("*.part"))
    fill(target, 9)
    assert list(pd.read_csv(target)["path"]) == [f"{number}.jpg" for number in range(9)]


def test_a_slow_row_is_written_after_a_minute(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(parts_module.time, "monotonic", lambda: now)
    with Parts(tmp_path / "scores.csv") as parts:
        parts.open(ABOUT)
        parts.add(row_of(0))
        assert parts.done == 0
        now = 61.0
        parts.add(row_of(1))
        assert parts.done == 2


@pytest.mark.parametrize(
    ("ending", "read"),
    [
        (".csv", pd.read_csv),
        (".jsonl", lambda path: pd.read_json(path, lines=True)),
        (".parquet", pd.read_parquet),
    ],
)
def test_names_that_are_no_text_survive_as_text(tmp_path, ending, read):
    target = tmp_path / f"scores{ending}"
    with Parts(target) as parts:
        parts.open(ABOUT)
        parts.add(row_of(0) | {"path": os.fsdecode(b"caf\xe9.jpg")})
        assert [row["score"] for row in parts.read()] == [0.0]  # What waits is written first.
        parts.finish(COLUMNS)
    assert read(target)["path"].item() == r"caf\xe9.jpg"


@pytest.mark.parametrize("name", ["about.json", "rows-0000000000-0000000003.jsonl"])
def test_a_damaged_part_is_named_with_what_to_do(tmp_path, name):
    target = tmp_path / "scores.csv"
    fill(target, 4, finish=False)
    path = target.with_name("scores.csv.parts") / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WorkdirError, match=f"{name} is damaged or cut short.*delete"):
        fill(target, 5)
