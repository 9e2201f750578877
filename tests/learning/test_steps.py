"""What an update may and may not change."""

from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from iqa_jax.learning.state import create_state, partition
from iqa_jax.learning.steps import train_step
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from shallow import NO_AUGMENTATION, make_batch, make_model, make_variables

LEARNING_RATE = 0.1


def make_stepper(model, variables, optimizer, task, is_trainable=lambda path: True, **changes):
    """Gives the state before the first update, and the compiled step on one device."""
    step = partial(
        train_step,
        model=model,
        task=task,
        optimizer=optimizer,
        is_trainable=is_trainable,
        augmentation=NO_AUGMENTATION,
        key=jax.random.key(0),
        total_steps=10,
        **changes,
    )
    return create_state(variables, optimizer, is_trainable), jax.jit(step)


@pytest.fixture
def task(tiny_config):
    return build.task_from_config(tiny_config)


@pytest.fixture
def stepper(task):
    return make_stepper(make_model(), make_variables(), optax.sgd(LEARNING_RATE), task)


def flat(tree):
    return {
        "/".join(path): np.asarray(leaf)
        for path, leaf in flax.traverse_util.flatten_dict(tree).items()
    }


def assert_close(left, right):
    """Compares what an update did: parameters moved by gradients, statistics, figures."""
    (left, left_figures), (right, right_figures) = left, right
    for kind in ("params", "batch_stats"):
        ours, theirs = flat(getattr(left, kind)), flat(getattr(right, kind))
        for path, value in ours.items():
            scale = max(np.abs(value).max(), 1e-3)
            np.testing.assert_allclose(value / scale, theirs[path] / scale, atol=2e-4, err_msg=path)
    for name, value in left_figures.items():
        np.testing.assert_allclose(value, right_figures[name], rtol=1e-3, err_msg=name)


def test_masked_examples_change_nothing(stepper):
    state, step = stepper
    real = make_batch(6)
    padded = {key: np.concatenate([value, value[:2]]) for key, value in real.items()}
    padded["mask"][6:] = False
    padded["label"][6:] = -1
    other = {key: value.copy() for key, value in padded.items()}
    other["tiles"][6:] = 255 - other["tiles"][6:]
    other["label"][6:] = 1
    expected, with_padding, with_other = (step(state, batch) for batch in (real, padded, other))
    assert_close(expected, with_padding)
    # What the padding holds makes not even a difference of rounding.
    jax.tree.map(np.testing.assert_array_equal, with_padding, with_other)
    assert float(expected[1]["gradient_norm"]) > 0.01


def test_masked_tiles_change_nothing(stepper):
    state, step = stepper
    real = make_batch(4, tiles=2)
    padding = np.random.default_rng(1).integers(0, 256, (4, 1, 16, 16, 3), dtype=np.uint8)
    padded = dict(
        real,
        tiles=np.concatenate([real["tiles"], padding], axis=1),
        tile_mask=np.pad(real["tile_mask"], ((0, 0), (0, 1))),
        tile_position=np.pad(real["tile_position"], ((0, 0), (0, 1), (0, 0))),
        features=np.pad(real["features"], ((0, 0), (0, 1), (0, 0))),
    )
    assert_close(step(state, real), step(state, padded))


def test_a_batch_of_padding_alone_changes_nothing(stepper):
    state, step = stepper
    nothing = make_batch(6) | {"mask": np.zeros(6, bool)}
    after, figures = step(state, nothing)
    assert float(figures["loss"]) == 0 and float(figures["gradient_norm"]) == 0
    jax.tree.map(np.testing.assert_array_equal, after.variables, state.variables)


def test_frozen_layers_stay_bit_for_bit(tiny_config, task):
    config = tiny_config
    config.data.features = ()
    config.model.encoder, config.model.trainable_layers = "mobilenet_v2", 2
    is_trainable = build.is_trainable_from_config(config)
    # A decay so strong that a leaf it touched would move.
    optimizer = optax.adamw(0.01, weight_decay=10.0)
    variables = initial_variables(config)
    state, step = make_stepper(
        build.model_from_config(config), variables, optimizer, task, is_trainable
    )
    batch = make_batch(6)
    batch["tiles"] = np.tile(batch["tiles"], (1, 1, 2, 2, 1))
    after, _ = step(state, batch)
    after, _ = step(after, batch)
    trainable, frozen = partition(state.params, is_trainable)
    layers = {path[1] for path in trainable if path[0] == "encoder"}
    assert layers == {"layer_50", "layer_51"}
    moved, still = partition(after.params, is_trainable)
    for path in frozen:
        np.testing.assert_array_equal(still[path], frozen[path], err_msg=str(path))
    for path in trainable:
        assert not np.array_equal(moved[path], trainable[path]), path
    before, now = flat(state.batch_stats), flat(after.batch_stats)
    changed = {path.split("/")[1] for path in before if not np.array_equal(before[path], now[path])}
    assert changed == {"layer_50", "layer_51"}
    # The optimizer keeps no moments of frozen parameters.
    assert set(after.opt_state[0].mu) == set(trainable)


def test_bfloat16_computes_in_half_and_keeps_float32(stepper, task):
    batch = make_batch(6)
    state, step = stepper
    half_state, half_step = make_stepper(
        make_model(jnp.bfloat16), make_variables(), optax.sgd(LEARNING_RATE), task
    )
    _, figures = step(state, batch)
    after, half_figures = half_step(half_state, batch)
    for leaf in jax.tree.leaves(after.variables):
        assert leaf.dtype == jnp.float32
    loss, half_loss = float(figures["loss"]), float(half_figures["loss"])
    assert loss != half_loss
    assert half_loss == pytest.approx(loss, rel=0.05)


def test_the_loss_of_tiles_is_the_mean_over_real_tiles(stepper, task):
    batch = make_batch(5, tiles=3)
    batch["tile_mask"] = np.arange(3) < np.array([3, 2, 1, 3, 2])[:, None]
    model = make_model(encoder_norm="running")
    optimizer = optax.sgd(LEARNING_RATE)

    def loss_of(batch, **changes):
        state, step = make_stepper(model, make_variables(), optimizer, task, **changes)
        return float(step(state, batch)[1]["loss"])

    # Every real tile as an image of its own, weighing as one of the tiles of its image.
    rows, columns = np.nonzero(batch["tile_mask"])
    alone = {key: value[rows] for key, value in batch.items()}
    for key in ("tiles", "tile_mask", "tile_position", "features"):
        alone[key] = batch[key][rows, columns][:, None]
    alone["weight"] = (len(rows) / 5 / batch["tile_mask"].sum(axis=1)[rows]).astype(np.float32)
    expected = loss_of(batch) + 0.3 * loss_of(alone)
    assert loss_of(batch, tile_weight=0.3) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_tiles_does_not_look_at_masked_ones(task):
    batch = make_batch(4, tiles=3)
    batch["tile_mask"][:, 2] = False
    other = dict(batch, tiles=batch["tiles"].copy())
    other["tiles"][:, 2] = 255 - other["tiles"][:, 2]
    state, step = make_stepper(
        make_model(), make_variables(), optax.sgd(LEARNING_RATE), task, tile_weight=0.5
    )
    jax.tree.map(np.testing.assert_array_equal, step(state, batch), step(state, other))


def test_running_statistics_stay_and_keep_tiles_apart(task):
    model, variables = make_model(encoder_norm="running"), make_variables()
    state, step = make_stepper(model, variables, optax.sgd(LEARNING_RATE), task)
    batch = make_batch(6)
    whole, figures = step(state, batch)
    jax.tree.map(np.testing.assert_array_equal, whole.batch_stats, variables["batch_stats"])
    halves = [
        {key: value[part] for key, value in batch.items()} for part in np.split(np.arange(6), 2)
    ]
    losses = [float(step(state, half)[1]["loss"]) for half in halves]
    assert np.mean(losses) == pytest.approx(float(figures["loss"]), rel=1e-5)
    assert not np.array_equal(
        whole.params["encoder"]["layer_50"]["scale"],
        variables["params"]["encoder"]["layer_50"]["scale"],
    )


def test_chunks_change_nothing_but_the_memory(task):
    """Five tiles in chunks of two, the last one half empty: the same update, in less space."""
    batch = make_batch(4, tiles=5)
    batch["tile_mask"][1, 3:] = False
    batch["tiles"] = np.tile(batch["tiles"], (1, 1, 2, 2, 1))
    outcomes, memory = [], []
    for tiles_per_chunk in (0, 2):
        model = make_model(encoder_norm="running", tiles_per_chunk=tiles_per_chunk)
        state, step = make_stepper(model, make_variables(), optax.sgd(LEARNING_RATE), task)
        outcomes.append(step(state, batch))
        memory.append(step.lower(state, batch).compile().memory_analysis().temp_size_in_bytes)
    assert_close(*outcomes)
    assert memory[1] < 0.8 * memory[0]


def test_chunks_move_the_statistics_one_after_the_other(task):
    batch = make_batch(4, tiles=4)
    batch["tiles"][:, 2:] //= 2
    step_of = partial(make_stepper, optimizer=optax.sgd(0.0), task=task)
    state, step = step_of(make_model(tiles_per_chunk=2), make_variables())
    after, _ = step(state, batch)
    state, step = step_of(make_model(), make_variables())
    for part in (slice(0, 2), slice(2, 4)):
        keys = ("tiles", "tile_mask", "tile_position", "features")
        state, _ = step(state, batch | {key: batch[key][:, part] for key in keys})
    for path, value in flat(after.batch_stats).items():
        np.testing.assert_allclose(value, flat(state.batch_stats)[path], rtol=1e-5, err_msg=path)


def test_a_batch_in_parts_is_the_same_update_in_less_memory(task):
    batch = make_batch(8, tiles=2)
    batch["mask"][:3] = False
    batch["weight"] = np.linspace(0.5, 2, 8, dtype=np.float32)
    batch["tiles"] = np.tile(batch["tiles"], (1, 1, 2, 2, 1))
    outcomes, memory = [], []
    for accumulation_steps in (1, 4):
        model = make_model(encoder_norm="running")
        optimizer = optax.sgd(LEARNING_RATE)
        changes = {"accumulation_steps": accumulation_steps, "tile_weight": 0.5}
        state, step = make_stepper(model, make_variables(), optimizer, task, **changes)
        outcomes.append(step(state, batch))
        memory.append(step.lower(state, batch).compile().memory_analysis().temp_size_in_bytes)
    assert_close(*outcomes)
    assert memory[1] < 0.6 * memory[0]


def test_parts_move_the_statistics_one_after_the_other(task):
    batch = make_batch(4)
    batch["tiles"][2:] //= 2
    step_of = partial(make_stepper, optimizer=optax.sgd(0.0), task=task)
    state, step = step_of(make_model(), make_variables(), accumulation_steps=2)
    after, _ = step(state, batch)
    state, step = step_of(make_model(), make_variables())
    for part in (slice(0, 2), slice(2, 4)):
        state, _ = step(state, {key: value[part] for key, value in batch.items()})
    for path, value in flat(after.batch_stats).items():
        np.testing.assert_allclose(value, flat(state.batch_stats)[path], rtol=1e-5, err_msg=path)


def test_every_part_drops_other_units(task):
    half = make_batch(4)
    batch = {key: np.concatenate([value, value]) for key, value in half.items()}
    model = make_model(encoder_norm="running", dropout=0.5)
    losses = []
    for accumulation_steps in (1, 2):
        optimizer = optax.sgd(LEARNING_RATE)
        changes = {"accumulation_steps": accumulation_steps}
        state, step = make_stepper(model, make_variables(), optimizer, task, **changes)
        for alone in (slice(0, 4), slice(4, 8)):
            mask = np.zeros(8, bool)
            mask[alone] = True
            losses.append(float(step(state, batch | {"mask": mask})[1]["loss"]))
    assert len(set(losses)) == 4
