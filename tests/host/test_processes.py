"""Several processes train one run: tests that start two, on four virtual devices each."""

import pickle
import shutil
import socket
import subprocess

import jax
import numpy as np
import pytest

from iqa_jax.host.processes import ProcessesError, gather_shares, join_processes, largest, share
from iqa_jax.modes.train import train
from iqa_jax.run.workdir import Workdir
from runs_elsewhere import last_checkpoint, wait_for_step
from tiny import TINY

# A network of two layers: what counts here is who computes which part of it.
SHALLOW = TINY | {
    "model.encoder": "shallow_cnn",
    "model.pooling": "stages",
    "bags.tiles": 4,
    "epochs": 4,
    "evaluate_every_epochs": 2.0,
    "checkpoint_every_steps": 3,
    "log_every_steps": 1,
}


@pytest.fixture
def start_two(start_main, tiny_manifest):
    """Starts a run in two processes; gives them, and the folder of the run."""

    def start(folder) -> list[subprocess.Popen]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        keys = SHALLOW | {"data.manifest": tiny_manifest}
        return [
            start_main(
                "--config=configs/default.py",
                f"--workdir={folder}",
                f"--distributed=localhost:{port},2,{number}",
                *(f"--config.{key}={value}" for key, value in keys.items()),
                devices=4,
                stderr=subprocess.STDOUT,
            )
            for number in range(2)
        ]

    return start


def test_two_processes_that_are_killed_and_go_on_are_as_good_as_one(
    start_two, tiny_config, tmp_path
):
    run = tmp_path / "run"
    two = start_two(run)
    wait_for_step(two[0], run, 5)
    for process in two:
        process.kill()
    outputs = [process.communicate(timeout=300)[0] for process in two]
    assert "8 × cpu (cpu), 2 process(es)" in outputs[0]
    saved = Workdir(run).last.steps[-1]
    assert 3 <= saved < 12
    shutil.copytree(run, tmp_path / "killed")

    two = start_two(run)
    outputs = [process.communicate(timeout=900)[0] for process in two]
    assert [process.returncode for process in two] == [0, 0], outputs
    # One speaks for both, and one file holds what they did.
    for line in (f"going on after step {saved}", "loss"):
        assert line in outputs[0] and line not in outputs[1]
    assert (run / "report.html").exists() and (run / "predictions_test.csv").exists()
    assert [entry["step"] for entry in Workdir(run).history() if "train/loss" in entry] == list(
        range(1, 13)
    )

    tiny_config.update_from_flattened_dict(SHALLOW)
    # The other half of the killed run, and a whole one, by one process with all the devices.
    for folder in ("killed", "one"):
        assert train(tiny_config, str(tmp_path / folder), "") == 0
    states = [last_checkpoint(tmp_path / name) for name in ("run", "killed", "one")]
    for state, record in states[:2]:
        assert int(state.step) == 12 and record["data"] == states[2][1]["data"]
        for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(states[2][0]), strict=True):
            # Sums over devices are taken in another order.
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-5)
    curves = [
        [entry["val/log_loss"] for entry in Workdir(tmp_path / name).history() if
         "val/log_loss" in entry]
        for name in ("run", "one")
    ]  # fmt: skip
    np.testing.assert_allclose(*curves, rtol=1e-4)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("localhost", "is neither auto nor HOST:PORT"),
        ("localhost:1,2,x", "is neither auto nor HOST:PORT"),
        ("localhost:1,2,2", "have the numbers 0 to 1, not 2"),
    ],
)
def test_a_flag_that_names_no_processes_is_refused(how, complaint):
    with pytest.raises(ProcessesError, match=complaint):
        join_processes(how)


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_shares_make_the_whole_again(monkeypatch, count):
    items, processes = list(range(count)), 3
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    shares = []
    for number in range(processes):
        monkeypatch.setattr(jax, "process_index", lambda number=number: number)
        shares.append(share(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    monkeypatch.setattr(
        "iqa_jax.host.processes._gather_bytes",
        lambda _: [pickle.dumps(part) for part in shares],
    )
    assert gather_shares(shares[0]) == items


def test_one_process_asks_no_other():
    assert share([1, 2, 3]) == [1, 2, 3] == gather_shares([1, 2, 3])
    assert largest(15) == 15
