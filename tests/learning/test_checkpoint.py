"""Checkpoints come back as they were; damage, a full disk and another model lose nothing."""

import logging
import resource
import shutil
import signal
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.learning.checkpoint import CheckpointError, Checkpoints


def state_of(step, size=4):
    return {
        "step": jnp.int32(step),
        "params": {"kernel": jnp.arange(size, dtype=jnp.float32) / 3 + step},
        "half": jnp.full((2, 3), step, jnp.bfloat16),
    }


def record_of(step):
    return {"data": {"next_index": step}, "best": {"value": step / 3, "step": step}}


def save(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, state_of(step), record_of(step))


def assert_is(restored, step):
    state, record = restored
    assert record == record_of(step)
    jax.tree.map(np.testing.assert_array_equal, state, state_of(step))
    dtypes = [jax.tree.map(lambda leaf: leaf.dtype, tree) for tree in (state, state_of(step))]
    assert dtypes[0] == dtypes[1]


def damage(folder):
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@contextmanager
def disk_that_is_full():
    """Refuses to grow any file; the process would be killed if it did not ignore the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "last", keep=2)


def test_saves_and_restores_bit_for_bit(checkpoints):
    assert checkpoints.steps == []
    save(checkpoints, 3, 5)
    assert_is(checkpoints.restore(state_of(0)), 5)
    assert_is(checkpoints.restore(state_of(0), step=3), 3)


def test_keeps_the_newest(checkpoints):
    save(checkpoints, 1, 2, 3)
    assert checkpoints.steps == [2, 3]
    assert Checkpoints(checkpoints.folder, keep=2).steps == [2, 3]


def test_restores_onto_other_devices(checkpoints):
    devices = jax.devices()
    save(checkpoints, 1)
    target = jax.device_put(state_of(0), devices[5])
    state, _ = checkpoints.restore(target)
    assert state["params"]["kernel"].devices() == {devices[5]}


def test_a_damaged_checkpoint_is_passed_over_and_replaced(checkpoints, caplog):
    save(checkpoints, 1, 3)
    damage(checkpoints.folder / "3")
    again = Checkpoints(checkpoints.folder, keep=2)
    with caplog.at_level(logging.WARNING):
        assert_is(again.restore(state_of(0)), 1)
    assert "checkpoint 3" in caplog.text and "cannot be read" in caplog.text
    # The run goes on from step 1 and comes by steps 2 and 3 again.
    save(again, 2, 3)
    assert again.steps == [2, 3]
    assert_is(Checkpoints(checkpoints.folder, keep=2).restore(state_of(0)), 3)


def test_a_checkpoint_that_a_kill_left_half_written_is_not_there(checkpoints):
    save(checkpoints, 1)
    shutil.copytree(checkpoints.folder / "1", checkpoints.folder / "2.orbax-checkpoint-tmp-1")
    again = Checkpoints(checkpoints.folder, keep=2)
    assert again.steps == [1]
    save(again, 2)
    assert_is(again.restore(state_of(0)), 2)


def test_a_full_disk_keeps_what_was_there(checkpoints):
    save(checkpoints, 1)
    with (
        disk_that_is_full(),
        pytest.raises(CheckpointError, match=r"step 2 .*\n?.*free space.*last good one, step 1"),
    ):
        checkpoints.save(2, state_of(2, size=100_000), record_of(2))
    again = Checkpoints(checkpoints.folder, keep=2)
    assert_is(again.restore(state_of(0)), 1)
    save(again, 2)
    assert_is(again.restore(state_of(0)), 2)


def test_another_model_is_named(checkpoints):
    save(checkpoints, 1)
    for other in (state_of(0, size=5), {"step": jnp.int32(0), "weights": jnp.zeros(3)}):
        with pytest.raises(CheckpointError, match="belongs to another model"):
            checkpoints.restore(other)


def test_no_checkpoint_at_all(checkpoints):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        checkpoints.restore(state_of(0))
