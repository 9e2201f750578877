"""Where a run's first parameters are from."""

import jax
import numpy as np
import pandas as pd
import pytest

from iqa_jax.modes.train import train
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.training.training_error import TrainingError


def test_the_encoder_of_another_run_and_nothing_else_of_it(tiny_config, tiny_run):
    tiny_config.model.weights = str(tiny_run)
    # Another fusion and head than that run's.
    tiny_config.model.fusion = tiny_config.evaluation.fusion = "gated_attention"
    tiny_config.model.hidden_dim = 16
    check_config(tiny_config)
    ours = initial_variables(tiny_config)
    workdir = Workdir(tiny_run)
    theirs, step = variables_from_config(workdir, workdir.config())
    assert step == workdir.best.steps[-1]
    for kind in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, ours[kind]["encoder"], theirs[kind]["encoder"])
    assert ours["params"]["head"]["hidden"]["bias"].shape == (16,)
    tiny_config.model.weights = "none"
    drawn = initial_variables(tiny_config)
    jax.tree.map(np.testing.assert_array_equal, ours["params"]["head"], drawn["params"]["head"])


def test_an_encoder_of_another_kind_is_refused(tiny_config, tiny_run):
    tiny_config.model.weights, tiny_config.model.encoder = str(tiny_run), "mobilenet_v2"
    with pytest.raises(WorkdirError, match="its encoder is not built like this run's"):
        initial_variables(tiny_config)


def test_a_whole_network_goes_on_where_another_run_ended(tiny_config, tiny_run):
    tiny_config.model.weights, tiny_config.model.weights_of = str(tiny_run), "all"
    check_config(tiny_config)
    workdir = Workdir(tiny_run)
    theirs, _ = variables_from_config(workdir, workdir.config())
    ours = initial_variables(tiny_config)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    tiny_config.model.hidden_dim = 16
    with pytest.raises(WorkdirError, match="its head is not built like this run's.*weights_of"):
        initial_variables(tiny_config)
    tiny_config.model.norm_embeddings, tiny_config.model.hidden_dim = True, 8
    with pytest.raises(WorkdirError, match="its embedding_norm is not built"):
        initial_variables(tiny_config)


def test_a_share_of_what_had_not_learnt_is_refused(tiny_config, tiny_run):
    tiny_config.optimizer.start_share = 0.5
    with pytest.raises(ConfigError) as refused:
        check_config(tiny_config)
    assert 'model.weights_of must be "all"' in str(refused.value)
    assert "set optimizer.ema_decay" in str(refused.value)
    tiny_config.model.weights, tiny_config.model.weights_of = str(tiny_run), "all"
    tiny_config.optimizer.ema_decay = 0.9
    check_config(tiny_config)


def test_weights_that_are_nowhere_are_refused(tiny_config, tmp_path):
    tiny_config.model.weights = str(tmp_path / "no_run")
    with pytest.raises(ConfigError, match="no_run.*give imagenet, none, photo_scorer, or"):
        check_config(tiny_config)


def test_an_encoder_that_has_seen_what_is_tested_is_refused(
    tiny_config, tiny_manifest, tiny_run, tmp_path
):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    # One of its training scenes is tested here.
    table.loc[table["group"] == "scene1", "split"] = "test"
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    tiny_config.model.weights = str(tiny_run)
    with pytest.raises(TrainingError, match="has seen what is tested here:\n.*scene1_0.png"):
        train(tiny_config, str(tmp_path / "run"), "")
    assert not Workdir(tmp_path / "run").last.steps
