"""A run that learns embeddings answers like any other, and is judged by its answers."""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from iqa_jax.modes.explain import explain
from iqa_jax.modes.train import train
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import headline_metric
from iqa_jax.run.variables import initial_variables, restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted.probe import (
    probe_settings_from_config,
    read_probe,
)
from iqa_jax.scoring.image_explainer import load_explainer
from iqa_jax.scoring.quality_scorer import load_scorer


@pytest.fixture
def supcon_config(tiny_config):
    """A tiny run that learns embeddings, with a detector of anomalous tiles besides."""
    tiny_config.loss.name, tiny_config.anomaly.kind = "supcon", "coreset"
    tiny_config.loss.supcon.projection_dim, tiny_config.anomaly.quantile = 8, 0.5
    tiny_config.evaluation.fusion = "mean_embedding"
    tiny_config.early_stopping.metric = "knn_auroc"
    return tiny_config


def _count_only(state, batch, **_):
    """Stands for the update, which takes long to compile: what is tested comes after it."""
    return state.replace(step=state.step + 1), {"loss": 0.0, "gradient_norm": 0.0}


@pytest.mark.usefixtures("one_device")
def test_a_run_that_learns_embeddings_answers_like_any_other(supcon_config, tmp_path, monkeypatch):
    monkeypatch.setattr("iqa_jax.training.loop.train_step", _count_only)
    config, folder = supcon_config, tmp_path / "run"
    assert train(config, str(folder), "") == 0
    workdir = Workdir(folder)
    metrics = workdir.read_json("metrics.json")
    for figures in metrics.values():
        # The answer is the linear probe's.
        assert figures["linear_probe_auroc"] == figures["auroc"]
        assert 0 <= figures["knn_auroc"] <= 1 and 0 <= figures["knn_accuracy"] <= 1
        assert figures["anomaly"]["kind"] == "coreset" and 0 <= figures["anomaly"]["auroc"] <= 1
    # The loop has chosen the checkpoint by what the evaluation of it finds.
    seen = {entry["step"]: entry for entry in workdir.history() if "val/knn_auroc" in entry}
    step = metrics["val"]["step"]
    assert seen[step]["val/knn_auroc"] == metrics["val"]["knn_auroc"]
    assert max(entry["val/knn_auroc"] for entry in seen.values()) == metrics["val"]["knn_auroc"]

    # Predicting and explaining find the probe and the detector in the workdir.
    table = pd.read_csv(folder / "predictions_test.csv")
    home = Path(config.data.manifest).parent
    paths = [str(home / name) for name in table["path"][:3]]
    known = load_scorer(folder).score(paths)
    np.testing.assert_allclose(known["score"], table["score"][:3], atol=1e-4)
    # Of embeddings of length 1, an untrained network has few: the answers are far apart.
    assert np.ptp(table["score"]) > 0.1
    explainer = load_explainer(folder)
    explanation, other = (explainer.explain(paths[0], of=name) for name in ("bad", "good"))
    assert explanation.maps.anomaly.shape == explanation.maps.grad_cam.shape == (64, 64)
    # The middle of the four tiles is the image's anomaly.
    tiles = explanation.maps.anomaly[[16, 16, 48, 48], [16, 48, 16, 48]]
    assert np.median(tiles) == pytest.approx(explanation.anomaly, rel=1e-4)
    assert (explanation.maps.grad_cam + other.maps.grad_cam).max() > 0
    assert explain(workdir, paths[0], str(tmp_path / "explained")) == 0
    (maps,) = (tmp_path / "explained").glob("*.npz")
    with np.load(maps) as found:
        np.testing.assert_array_equal(found["anomaly"], explanation.maps.anomaly)
    row = pd.read_csv(tmp_path / "explained" / "index.csv").iloc[0]
    assert row["anomaly"] == pytest.approx(explanation.anomaly, rel=1e-6)

    # Training never moves the probe; without what is fitted nothing answers.
    trained, _ = restore_trained(workdir, config)
    np.testing.assert_array_equal(trained["params"]["head"]["probe_kernel"], 0)
    probe = read_probe(workdir, step, probe_settings_from_config(config))
    assert np.abs(probe.kernel).max() > 0.1
    (folder / "probe.npz").unlink()
    with pytest.raises(WorkdirError, match="has no probe.npz for its checkpoint of step"):
        load_scorer(folder)
    # The same command fits it again, and another run can start from its encoder.
    monkeypatch.setattr("iqa_jax.modes.train.evaluate_run", lambda *_, **__: None)
    assert train(config, str(folder), "") == 0
    np.testing.assert_array_equal(
        read_probe(workdir, step, probe_settings_from_config(config)).kernel, probe.kernel
    )
    config.model.weights, config.seed = str(folder), 1
    start = initial_variables(config)["params"]
    jax.tree.map(np.testing.assert_array_equal, start["encoder"], trained["params"]["encoder"])
    assert not np.array_equal(
        start["head"]["output"]["kernel"], trained["params"]["head"]["output"]["kernel"]
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"early_stopping.metric": "knn_log_loss"}, "early_stopping.metric is"),
        ({"loss.name": "", "early_stopping.metric": "knn_auroc"}, "early_stopping.metric is"),
        ({"loss.tile_weight": 1.0, "bags.tiles": 4}, "supcon compares images only"),
        ({"batch_size": 3}, "two of each class: give 4 or more"),
        ({"loss.supcon.temperature": 0.0}, "loss.supcon.temperature is 0.0"),
        ({"loss.name": "tripplet"}, 'did you mean "triplet"'),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny_config, changes, problem):
    tiny_config.update_from_flattened_dict({"loss.name": "supcon", **changes})
    with pytest.raises(ConfigError, match=problem) as raised:
        check_config(tiny_config)
    assert len(raised.value.problems) == 1


def test_a_run_is_judged_by_its_answers_not_by_neighbours(tiny_config):
    tiny_config.loss.name, tiny_config.early_stopping.metric = "supcon", "knn_accuracy"
    check_config(tiny_config)
    assert headline_metric(tiny_config) == "accuracy"
