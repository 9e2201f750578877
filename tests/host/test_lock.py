"""Who writes a folder writes it alone; a lock goes with its process, however that ends."""

import errno
import fcntl
import json
import os
import platform
import signal
import sys
from contextlib import contextmanager

import pytest

from iqa_jax.host import lock
from iqa_jax.host.lock import LOCK, InUseError, locked, sole_writer
from iqa_jax.modes.clean import clean
from iqa_jax.modes.compare import compare
from iqa_jax.modes.evaluate import evaluate
from iqa_jax.modes.explain import explain
from iqa_jax.modes.predict import predict
from iqa_jax.modes.prepare import prepare
from iqa_jax.modes.protocol import run_protocol
from iqa_jax.modes.train import train
from iqa_jax.run.workdir import Workdir
from programs import run_program

SCRIPT = """
import pathlib, signal, sys, time
from iqa_jax import program
from iqa_jax.host.lock import sole_writer
signal.signal(signal.SIGTERM, program._end)
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell may have it ignored.
with sole_writer(pathlib.Path(sys.argv[1]), "--mode=train"):
    print("holds it", flush=True)
    if sys.argv[2] == "fail":
        raise ValueError("failed")
    time.sleep(600)
"""
HOST = platform.node()
MODES = {
    "train": lambda config, folder, run: train(config, folder, ""),
    "compare": lambda config, folder, run: compare(config, folder, ""),
    "protocol": lambda config, folder, run: run_protocol(config, folder, ""),
    "clean": lambda config, folder, run: clean(config, folder, ""),
    "prepare": lambda config, folder, run: prepare(config, folder),
    "explain": lambda config, folder, run: explain(run, config.data.manifest, folder),
}


@contextmanager
def held(path, host=HOST):
    """Holds a lock as another process would."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        about = {"pid": 1234, "host": host, "doing": "--mode=x", "since": "2020-01-02 03:04:05"}
        file.write(json.dumps(about))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_second_writer_is_told_of_the_first_and_may_begin_when_it_has_ended(
    folder, start_program, capsys, end
):
    process = start_program([sys.executable, "-c", SCRIPT, str(folder), ""])
    assert process.stdout.readline() == "holds it\n"
    who = (
        rf"process {process.pid} on host {HOST} "
        r"\(--mode=train, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\)"
    )
    with (
        pytest.raises(InUseError, match=f"run is in use: {who} writes there"),
        sole_writer(folder, "--mode=train"),
    ):
        pass
    assert json.loads((folder / LOCK).read_text())["pid"] == process.pid
    process.send_signal(end)
    process.communicate(timeout=60)
    # A kill alone leaves anything behind, and the next start says so in one line.
    assert folder.exists() == (end == signal.SIGKILL)
    with sole_writer(folder, "--mode=train"):
        assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()
    assert not (folder / LOCK).exists()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == (end == signal.SIGKILL)
    if said:
        assert f"taking over {folder}, which process {process.pid} on host" in said[0]


def test_an_error_leaves_no_lock(folder):
    done = run_program([sys.executable, "-c", SCRIPT, str(folder), "fail"], check=False)
    assert done.returncode == 1 and "ValueError: failed" in done.stderr
    assert not folder.exists()


def test_a_lock_of_another_host_is_not_taken_over(folder):
    with held(folder / LOCK, host="elsewhere"):
        pass
    with pytest.raises(
        InUseError, match=f"host elsewhere .*cannot be told.* delete {folder}/{LOCK}"
    ):
        with sole_writer(folder, "--mode=train"):
            pass
    (folder / LOCK).unlink()
    with sole_writer(folder, "--mode=train"):
        pass


def test_where_nothing_can_be_locked_a_file_that_is_there_is_respected(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with sole_writer(folder, "--mode=train"):
        pass
    folder.mkdir()
    about = {"pid": 1, "host": HOST, "doing": "--mode=x", "since": "now"}
    (folder / LOCK).write_text(json.dumps(about))
    with (
        pytest.raises(InUseError, match="cannot be told from here"),
        sole_writer(folder, "--mode=train"),
    ):
        pass


def test_a_file_deleted_before_it_is_locked_is_not_the_lock(folder, monkeypatch):
    real, calls = lock._lock, []

    def end_of_another(file):
        calls.append(file)
        if len(calls) == 1:
            (folder / LOCK).unlink()
        return real(file)

    monkeypatch.setattr(lock, "_lock", end_of_another)
    with sole_writer(folder, "--mode=train"):
        assert len(calls) == 2 and (folder / LOCK).exists()


def test_a_process_may_ask_again_and_a_folder_that_stays_empty_goes(folder):
    with sole_writer(folder, "--mode=clean"):
        with sole_writer(folder, "--mode=train"):
            pass
        assert (folder / LOCK).exists()
    assert not folder.exists()
    with sole_writer(folder, "--mode=train"):
        (folder / "something").touch()
    assert [path.name for path in folder.iterdir()] == ["something"]


def test_parts_of_one_list_are_written_at_once(tmp_path):
    one, other = tmp_path / "a-00000-of-00002.csv", tmp_path / "a-00001-of-00002.csv"
    with held(tmp_path / f"{one.name}.lock"), locked(tmp_path / f"{other.name}.lock", other, "x"):
        pass


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_refuses_what_another_process_writes(mode, unsplit_config, folder, tiny_run):
    unsplit_config.model.fusion = unsplit_config.evaluation.fusion = "mean_embedding"
    with held(folder / LOCK), pytest.raises(InUseError, match="run is in use: process 1234 on"):
        MODES[mode](unsplit_config, str(folder), Workdir(tiny_run))
    assert [path.name for path in folder.iterdir()] == [LOCK]


def test_evaluating_and_predicting_refuse_it_too(tiny_run, tiny_manifest, tmp_path):
    workdir, output = Workdir(tiny_run), tmp_path / "scores.csv"
    with held(tiny_run / LOCK), pytest.raises(InUseError, match="tiny is in use: process 1234"):
        evaluate(workdir, "", "", "")
    (tiny_run / LOCK).unlink()
    with held(tmp_path / "scores.csv.lock"), pytest.raises(InUseError, match="scores.csv is in"):
        predict(workdir, str(tiny_manifest), str(output))
