"""The average of the weights: its closed form, and that everything answers with it."""

import os
import signal
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from iqa_jax.learning.state import AnchoredState, AveragedState, TrainState, create_state
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.training.data import TrainingData, prepare_training
from iqa_jax.training.loop import fit


def averages_of(sequence, decay: float, start: float = 9.0, share: float = 0.0) -> list[float]:
    """Gives what answers after each of some updates that make these values."""
    start = {"params": {"w": jnp.float32(start)}, "batch_stats": {"mean": -jnp.float32(start)}}
    state = create_state(start, optax.sgd(1.0), lambda path: True, decay, share)
    found = []
    for value in sequence:
        value = jnp.float32(value)
        state = state.advance(
            params={"w": value}, batch_stats={"mean": -value}, opt_state=state.opt_state
        )
        assert float(state.params["w"]) == float(value)
        found.append(float(state.variables["params"]["w"]))
        assert float(state.variables["batch_stats"]["mean"]) == pytest.approx(-found[-1])
    return found


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.9999])
def test_the_average_is_its_closed_form(decay):
    sequence = np.random.default_rng(0).normal(size=40)
    expected = []
    for count in range(1, 41):
        weights = decay ** np.arange(count)[::-1]
        # Wherever training started is not in it, which is what bias correction is for.
        expected.append(weights @ sequence[:count] / weights.sum())
    np.testing.assert_allclose(averages_of(sequence, decay), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_start_has_its_share_of_the_answer_to_the_end(share):
    sequence = np.random.default_rng(0).normal(size=40)
    average = np.array(averages_of(sequence, 0.9, start=7.0))
    found = averages_of(sequence, 0.9, start=7.0, share=share)
    np.testing.assert_allclose(found, (1 - share) * average + share * 7.0, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("value", [0.1, 0.0, -0.0])
def test_what_does_not_move_is_its_own_average_bit_for_bit(value, share):
    found = np.float32(averages_of([value] * 30, 0.99, start=value, share=share))
    assert found.tobytes() == np.float32([value] * 30).tobytes()


def test_without_a_decay_the_checkpoint_is_as_it_was(tiny_config):
    plain = build.abstract_state_from_config(tiny_config)
    assert type(plain) is TrainState
    assert set(vars(plain)) == {"step", "params", "batch_stats", "opt_state"}
    tiny_config.optimizer.ema_decay = 0.9
    averaged = build.abstract_state_from_config(tiny_config)
    assert type(averaged) is AveragedState
    tiny_config.optimizer.start_share = 0.5
    anchored = build.abstract_state_from_config(tiny_config)
    assert type(anchored) is AnchoredState
    shapes = jax.tree.map(lambda leaf: leaf.shape, plain.variables)
    for variables in (averaged.variables, anchored.average, anchored.start):
        assert jax.tree.map(lambda leaf: leaf.shape, variables) == shapes


@pytest.mark.usefixtures("one_device")
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_stopped_run_goes_on_bit_for_bit_and_answers_with_the_average(
    unsplit_config, tmp_path, monkeypatch, share
):
    config = unsplit_config
    config.optimizer.ema_decay, config.optimizer.warmup_epochs = 0.8, 0.0
    config.optimizer.start_share = share
    # A narrow encoder, frozen as it was drawn, compiles in seconds.
    config.encoder.mobilenet_v2.width_multiplier, config.model.weights = 0.1, "none"
    config.model.norm_embeddings = True
    config.data.fractions, config.early_stopping.metric = (1.0, 0.0, 0.0), ""
    config.epochs, config.optimizer.learning_rate = 1, 1e-2
    manifest = build.manifest_from_config(config)
    data = prepare_training(config, manifest, Workdir(tmp_path))

    def run(name: str) -> int:
        workdir = Workdir(tmp_path / name)
        workdir.open_for_training(config, manifest)
        return fit(config, data, workdir)

    def last(name: str):
        return Workdir(tmp_path / name).last.restore(build.abstract_state_from_config(config))

    assert run("whole") == 0
    whole, record = last("whole")
    assert int(whole.step) == 4

    real = TrainingData.batches

    class Killing:
        """Batches of which the second comes with a signal."""

        def __init__(self, batches):
            self._batches, self._taken = batches, 0

        def __next__(self):
            self._taken += 1
            if self._taken == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return next(self._batches)

        def __getattr__(self, name):
            return getattr(self._batches, name)

    monkeypatch.setattr(TrainingData, "batches", lambda data, config: Killing(real(data, config)))
    assert run("parts") == signal.SIGTERM
    assert int(last("parts")[0].step) == 2
    monkeypatch.setattr(TrainingData, "batches", real)
    assert run("parts") == 0
    parts, its_record = last("parts")
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    assert its_record == record

    variables, step = variables_from_config(Workdir(tmp_path / "parts"), config)
    assert step == 4
    if share:
        start = initial_variables(config)
        jax.tree.map(np.testing.assert_array_equal, whole.start, start)
        between = jax.tree.map(lambda a, b: a + share * (b - a), whole.average, start)
        is_close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
        jax.tree.map(is_close, variables, between)
    else:
        jax.tree.map(np.testing.assert_array_equal, variables, whole.average)
    moved = jax.tree.map(
        lambda one, other: not np.array_equal(one, other), variables["params"], whole.params
    )
    assert all(jax.tree.leaves(moved["head"])) and not any(jax.tree.leaves(moved["encoder"]))
    # Statistics belong to the weights they were measured with, and are averaged alike.
    assert not np.array_equal(
        variables["batch_stats"]["embedding_norm"]["mean"],
        whole.batch_stats["embedding_norm"]["mean"],
    )
