"""The loop: a run that was stopped goes on bit for bit."""

import os
import signal
from functools import partial

import jax
import numpy as np
import pytest

from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.training.data import TrainingData, prepare_training
from iqa_jax.training.loop import fit


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
