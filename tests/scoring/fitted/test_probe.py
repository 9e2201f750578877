"""What answers beside or instead of the network is fitted on training images alone, and kept."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.linear_probe import fit_probe
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.models.heads import ProjectionHead
from iqa_jax.modes.explain import explain
from iqa_jax.modes.train import train
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import headline_metric
from iqa_jax.run.variables import initial_variables, restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.fitted.probe import (
    fit_training_probe,
    probe_settings_from_config,
    read_probe,
    variables_from_config,
    with_probe,
    write_probe,
)
from iqa_jax.scoring.image_explainer import load_explainer
from iqa_jax.scoring.quality_scorer import load_scorer


@pytest.mark.usefixtures("one_device")
def test_a_run_answers_with_the_mean_of_its_network_and_its_training_images(
    unsplit_config, tmp_path
):
    config, workdir = unsplit_config, Workdir(tmp_path / "run")
    table = pd.read_csv(config.data.manifest)
    table["label"] = np.linspace(10, 90, len(table))
    table.to_csv(config.data.manifest, index=False)
    config.data.label_kind, config.balanced_sampling = "numeric", False
    config.data.fractions, config.early_stopping.metric = (0.5, 0.0, 0.5), ""
    config.model.fusion = config.evaluation.fusion = "mean_embedding"
    config.model.norm_embeddings = config.model.kernel_ridge = True
    config.epochs = 1
    assert train(config, str(workdir.folder), "") == 0

    variables, _ = variables_from_config(workdir, config)
    alone, _ = restore_trained(workdir, config)
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    evaluator = evaluator_from_config(
        config,
        manifest,
        source,
        workdir.features(),
        embeddings_from_config(config, variables, source),
    )
    fitted = {name: np.asarray(value) for name, value in variables["kernel_ridge"]["head"].items()}
    assert len(fitted["support"]) == len(manifest.split("train"))
    embeddings = [answer.embedding for answer in evaluator(alone, "train").answers]
    np.testing.assert_allclose(fitted["support"], embeddings, rtol=1e-4, atol=1e-4)

    network, both = evaluator(alone, "test"), evaluator(variables, "test")
    embeddings = np.array([answer.embedding for answer in network.answers])
    distances = ((embeddings[:, None] - fitted["support"]) ** 2).sum(-1)
    theirs = 50 + 50 * (np.exp(-fitted["gamma"] * distances) @ fitted["dual"] + fitted["offset"])
    expected = (network.values("mean_embedding") + theirs) / 2
    np.testing.assert_allclose(both.values("mean_embedding"), expected, rtol=1e-3, atol=0.02)
    assert np.ptp(theirs) > 1 and np.ptp(network.values("mean_embedding") - theirs) > 0.1
    written = pd.read_csv(workdir.folder / "predictions_test.csv")["score"]
    np.testing.assert_allclose(written, both.values("mean_embedding")[:, 0], rtol=1e-4)

    (workdir.folder / "probe.npz").unlink()
    with pytest.raises(WorkdirError, match="start the command again that trains it"):
        variables_from_config(workdir, config)


CLASSES, DIM = 4, 6


def make_head(outputs):
    sizes = {"hidden_dim": 8, "outputs": outputs, "projection_dim": DIM}
    return ProjectionHead(**sizes, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)


def make_blobs(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    embeddings = np.random.default_rng(9).normal(size=(classes, DIM))[labels]
    embeddings = embeddings + rng.normal(size=(count, DIM))
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), labels


def _fit_on(config, embeddings, labels, split):
    """Fits a probe on images with these embeddings; one without has an error."""
    images = pd.DataFrame({"label": labels, "split": split})

    def score(image_ids):
        for image_id in image_ids:
            embedding = embeddings[image_id]
            error = "broken" if embedding is None else ""
            yield Answered(image_id, {}, None, None, None, error, embedding=embedding)

    settings = probe_settings_from_config(config)
    return fit_training_probe(settings, images[images["split"] == "train"], score)


def test_the_probe_is_fitted_on_labelled_training_images_alone(tiny_config, monkeypatch):
    tiny_config.loss.name = "supcon"
    embeddings, labels = make_blobs(60, 2)
    split, labels = np.repeat(["train", "val"], [40, 20]), labels.copy()
    labels[:5] = -1
    embeddings = list(embeddings)
    embeddings[7] = None
    probe = _fit_on(tiny_config, embeddings, labels, split)
    kept = [row for row in range(5, 40) if row != 7]
    np.testing.assert_array_equal(probe.embeddings, [embeddings[row] for row in kept])
    np.testing.assert_array_equal(probe.labels, labels[kept])
    # Other images change nothing.
    other = embeddings[:5] + embeddings[5:40] + list(make_blobs(20, 2, seed=5)[0])
    other[2] = other[30]
    again = _fit_on(tiny_config, other, labels, split)
    np.testing.assert_array_equal(again.kernel, probe.kernel)
    # Of too many, as many of each class.
    labels[10:40] = 1
    labels[10:14] = 0
    monkeypatch.setattr("iqa_jax.scoring.fitted.probe._IMAGES", 10)
    few = _fit_on(tiny_config, list(make_blobs(60, 2)[0]), labels, split)
    assert np.bincount(few.labels).tolist() == [5, 5]
    labels[labels == 0] = 1
    with pytest.raises(WorkdirError, match="class 0 has none"):
        _fit_on(tiny_config, embeddings, labels, split)
    tiny_config.loss.name = "cross_entropy"
    assert probe_settings_from_config(tiny_config) is None


def test_a_probe_is_kept_and_put_into_the_head(tiny_config, tmp_path):
    tiny_config.loss.name = "triplet"
    workdir, probe = Workdir(tmp_path), fit_probe(*make_blobs(40, 2), 2, is_balanced=True)
    write_probe(workdir, 3, probe)
    back = read_probe(workdir, 3, probe_settings_from_config(tiny_config))
    for field in dataclasses.fields(probe):
        np.testing.assert_allclose(
            getattr(back, field.name), getattr(probe, field.name), rtol=1e-6, atol=1e-7
        )
    assert back.labels.dtype.kind == "i"
    with pytest.raises(WorkdirError, match="start the command again that trains it"):
        read_probe(workdir, 4, probe_settings_from_config(tiny_config))
    head = make_head(DIM + 2)
    embedding = jnp.array(np.random.default_rng(0).normal(size=(5, 7)))
    before = head.init(jax.random.key(0), embedding)
    variables = {"params": {"head": before["params"]}, "batch_stats": {}}
    after = with_probe(variables, back)["params"]["head"]
    outputs = head.apply({"params": after}, embedding)
    expected = outputs[:, :DIM] @ probe.kernel + probe.bias
    np.testing.assert_allclose(outputs[:, DIM:], expected, rtol=1e-4, atol=1e-5)
    assert not np.asarray(before["params"]["probe_kernel"]).any()
    assert with_probe(variables, None) is variables


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
