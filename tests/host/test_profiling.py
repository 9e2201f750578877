"""A profile says where the time of steps goes, adds up, and changes no number of a run."""

import re

import jax
import numpy as np
import pytest

from iqa_jax.host.profiling import Clock, Profiler, summarise
from iqa_jax.modes import train as train_module
from runs_elsewhere import last_checkpoint

PARTS = re.compile(
    r"waiting for data (.*)%, host work (.*)%, waiting for the device (.*)%", re.DOTALL
)


@pytest.mark.usefixtures("one_device")
def test_a_profiled_run_is_the_run_it_was(tiny_config, tmp_path, monkeypatch, capsys):
    tiny_config.model.encoder = "shallow_cnn"
    tiny_config.early_stopping.metric = ""
    monkeypatch.setattr(train_module, "evaluate_run", lambda *_, **__: None)
    states = []
    for is_profiled in (False, True):
        capsys.readouterr()
        folder = tmp_path / f"profiled_{is_profiled}"
        assert train_module.train(tiny_config, str(folder), "", is_profiled) == 0
        states.append(last_checkpoint(folder)[0])
        assert (folder / "profile").exists() == is_profiled
    jax.tree.map(np.testing.assert_array_equal, *states)
    # Of the twelve steps those that come after four.
    lines = capsys.readouterr().out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("profile of")]
    assert re.fullmatch(r"profile of steps 5 to 12: \d+\.\d ms per step", lines[at])
    parts = [float(part) for part in PARTS.search(lines[at + 1]).groups()]
    assert min(parts) >= 0 and sum(parts) == pytest.approx(100, abs=0.2)
    assert f"--logdir={folder / 'profile'}" in lines[at + 2]
    assert list(folder.glob("profile/**/*.xplane.pb")) and list(folder.glob("profile/**/*.json.gz"))


def test_a_run_that_ends_early_says_that_nothing_is_profiled(tmp_path, capsys):
    with Profiler(tmp_path / "profile", Clock()) as profiler:
        profiler.turn(1)
    assert capsys.readouterr().out.startswith("nothing is profiled: it begins after 4 steps")
    assert not (tmp_path / "profile").exists()


def test_a_clock_leaves_pauses_out(monkeypatch):
    now = 100.0
    monkeypatch.setattr("iqa_jax.host.profiling.time.monotonic", lambda: now)
    clock, seconds = Clock(), {"data": 3.0, "device": 5.0, "pause": 7.0}
    now += 1
    with clock.spent_on("data"):
        now += 50
    reading = clock.read()
    for what, lasts in seconds.items():
        with clock.spent_on(what):
            now += lasts
    now += 2
    spent = clock.since(reading)
    assert spent == seconds | {"all": 10.0}
    assert summarise(spent, first=5, steps=10) == [
        "profile of steps 5 to 14: 1000.0 ms per step",
        "  waiting for data 30.0%, host work 20.0%, waiting for the device 50.0%",
    ]
