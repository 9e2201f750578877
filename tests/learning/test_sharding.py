"""Any number of devices and micro-batches, and either way to drive them, give the same update."""

from functools import partial

import flax
import jax
import numpy as np
import optax
import pytest

from iqa_jax.learning.sharding import PLACEMENTS, PlacementError, check_batch_size
from iqa_jax.learning.state import create_state
from iqa_jax.learning.steps import train_step
from iqa_jax.run import build
from shallow import make_batch, make_model, make_variables


def update_twice(config, mode, device_count, examples=16, accumulation_steps=1, norm="batch"):
    """Gives the state after two updates and the figures of both, on the host."""
    placement = PLACEMENTS[mode](jax.devices()[:device_count])
    optimizer, is_trainable = optax.sgd(0.05), lambda path: True
    step = placement.compile_step(
        partial(
            train_step,
            model=make_model(axis_name=placement.axis_name, encoder_norm=norm),
            task=build.task_from_config(config),
            optimizer=optimizer,
            is_trainable=is_trainable,
            augmentation=build.augmentation_from_config(config),
            key=jax.random.key(0),
            total_steps=10,
            axis_name=placement.axis_name,
            accumulation_steps=accumulation_steps,
            split_batch=placement.split_batch,
        )
    )
    state = create_state(make_variables(), optimizer, is_trainable, config.optimizer.ema_decay)
    state = placement.place_state(state)
    figures = []
    for number in range(2):
        batch = make_batch(examples, seed=number)
        # Leaves the last two of eight devices without an example, and any four parts unequal.
        batch["mask"][-5 * examples // 16 :] = False
        state, metrics = step(state, placement.place_batch(batch))
        figures.append({name: float(value) for name, value in metrics.items()})
    return jax.device_get(placement.fetch_state(state)), figures


def assert_same(left, right):
    """Compares what `update_twice` gave."""
    (state, figures), (expected, expected_figures) = left, right
    assert int(state.step) == 2
    for figure, other in zip(figures, expected_figures, strict=True):
        assert figure["gradient_norm"] > 0.01
        assert figure == pytest.approx(other, rel=1e-4)
    for kind in ("params", "batch_stats"):
        ours, theirs = (
            flax.traverse_util.flatten_dict(which.variables[kind]) for which in (state, expected)
        )
        for path, value in ours.items():
            scale = max(np.abs(value).max(), 1e-3)
            np.testing.assert_allclose(
                value / scale, theirs[path] / scale, atol=1e-4, err_msg=str(path)
            )


@pytest.mark.parametrize("ema_decay", [0.0, 0.7])
@pytest.mark.parametrize("mode", PLACEMENTS)
def test_eight_devices_are_one(tiny_config, mode, ema_decay):
    assert jax.device_count() == 8
    tiny_config.optimizer.ema_decay = ema_decay
    assert_same(update_twice(tiny_config, mode, 8), update_twice(tiny_config, "jit", 1))


@pytest.mark.parametrize("mode", PLACEMENTS)
def test_four_passes_are_one(tiny_config, mode):
    # With BatchNorm's running statistics no example depends on its company.
    keys = {"examples": 32, "norm": "running"}
    four = update_twice(tiny_config, mode, 8, accumulation_steps=4, **keys)
    assert_same(four, update_twice(tiny_config, "jit", 1, **keys))


def test_passes_leave_every_example_on_its_device():
    placement = PLACEMENTS["jit"](jax.devices())
    batch = placement.place_batch({"label": np.arange(64).reshape(32, 2)})
    split = jax.jit(partial(placement.split_batch, accumulation_steps=4)).lower(batch).compile()
    for travel in ("all-gather", "all-to-all", "all-reduce", "collective-permute"):
        assert travel not in split.as_text()
    for before, after in zip(
        batch["label"].addressable_shards, split(batch)["label"].addressable_shards, strict=True
    ):
        assert before.device == after.device and after.data.shape == (4, 1, 2)
        np.testing.assert_array_equal(np.concatenate(after.data), before.data)


@pytest.mark.parametrize("mode", PLACEMENTS)
def test_a_state_comes_back_as_it_went(mode):
    placement = PLACEMENTS[mode](jax.devices())
    state = {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3), "step": np.int32(3)}
    back = placement.fetch_state(placement.place_state(state))
    jax.tree.map(np.testing.assert_array_equal, back, state)


@pytest.mark.parametrize(
    ("batch_size", "devices", "nearest"),
    [(30, 8, "24 or 32"), (5, 8, "sizes that do: 8"), (9, 2, "8 or 10")],
)
def test_a_batch_that_does_not_divide_names_the_nearest_sizes(batch_size, devices, nearest):
    with pytest.raises(PlacementError, match=nearest):
        check_batch_size(batch_size, devices, processes=1)


def test_a_batch_that_does_not_divide_into_passes_says_so():
    with pytest.raises(PlacementError, match="8 devices, each .* in 3 micro-batches .*: 24 or 48"):
        check_batch_size(32, 8, processes=1, accumulation_steps=3)


def test_a_batch_that_divides_is_accepted():
    check_batch_size(32, 8, 1)
    check_batch_size(32, 8, 2)
    check_batch_size(32, 8, 1, accumulation_steps=4)
