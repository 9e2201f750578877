"""Losses of embeddings against plain loops; and how a run that learns embeddings answers."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from iqa_jax.analysis.linear_probe import NEIGHBOURS, fit_probe
from iqa_jax.learning.contrastive_losses import (
    near_level,
    same_class,
    semi_hard_triplet,
    supervised_contrastive,
)
from iqa_jax.learning.tasks import TASKS, Labels
from iqa_jax.models.heads import ProjectionHead
from iqa_jax.modes.explain import explain
from iqa_jax.modes.train import train
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import headline_metric
from iqa_jax.run.variables import initial_variables, restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.probe import (
    fit_training_probe,
    probe_settings_from_config,
    read_probe,
    with_probe,
    write_probe,
)
from iqa_jax.scoring.image_explainer import load_explainer
from iqa_jax.scoring.quality_scorer import load_scorer

CLASSES, DIM = 4, 6
# The last class has one member; the rows after it are padding.
LABELS = np.array([0, 1, 0, 1, 2, 2, 0, 1, 2, 1, 0, 3, 1, 0])
IS_REAL = np.arange(len(LABELS)) < 12
SIMILARITIES = {"classes": same_class, "levels": near_level}
LOSSES = {
    "supcon": partial(supervised_contrastive, temperature=0.1),
    "triplet": partial(semi_hard_triplet, margin=0.3),
}


def make_embeddings(seed=0, count=len(LABELS)):
    embeddings = np.random.default_rng(seed).normal(size=(count, DIM))
    # Some negatives nearer than positives, some farther: both branches of the mining.
    embeddings[:6] += 2 * np.eye(DIM)[LABELS[:6]]
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def similarity_by_hand(kind, a, b):
    return float(a == b) if kind == "classes" else 1 - abs(a - b) / (CLASSES - 1)


def supcon_by_hand(embeddings, labels, kind, temperature):
    """One anchor and one positive at a time, in double precision."""
    losses = []
    for i, anchor in enumerate(embeddings):
        others = [j for j in range(len(labels)) if j != i]
        logits = [anchor @ embeddings[j] / temperature for j in others]
        highest = max(logits)
        normaliser = highest + np.log(sum(np.exp(logit - highest) for logit in logits))
        alike = [similarity_by_hand(kind, labels[i], labels[j]) for j in others]
        loss = 0.0
        for weight, logit in zip(alike, logits, strict=True):
            loss += weight * (normaliser - logit)
        losses.append(loss / sum(alike) if sum(alike) else 0.0)
    return np.array(losses)


def triplet_by_hand(embeddings, labels, kind, margin):
    """One anchor, one positive and one negative at a time."""
    losses = []
    for i, anchor in enumerate(embeddings):
        found = []
        for p in range(len(labels)):
            if p == i:
                continue
            alike = similarity_by_hand(kind, labels[i], labels[p])
            near = ((anchor - embeddings[p]) ** 2).sum()
            semi_hard, others = [], []
            for n in range(len(labels)):
                gap = alike - similarity_by_hand(kind, labels[i], labels[n])
                if n == i or gap <= 0:
                    continue
                far = ((anchor - embeddings[n]) ** 2).sum()
                (semi_hard if far > near else others).append(near - far + margin * gap)
            if semi_hard or others:
                found.append(max(0.0, max(semi_hard) if semi_hard else min(others)))
        losses.append(sum(found) / len(found) if found else 0.0)
    return np.array(losses)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_a_plain_loop(name, kind):
    embeddings, labels = make_embeddings()[IS_REAL], LABELS[IS_REAL]
    by_hand = {
        "supcon": partial(supcon_by_hand, temperature=0.1),
        "triplet": partial(triplet_by_hand, margin=0.3),
    }[name](embeddings, labels, kind)
    similarity = SIMILARITIES[kind](jnp.array(labels), CLASSES)
    found = LOSSES[name](jnp.array(embeddings), similarity, jnp.ones(len(labels), bool))
    np.testing.assert_allclose(found, by_hand, rtol=2e-4, atol=1e-6)
    assert (by_hand > 0).sum() > 6 and np.ptp(by_hand) > 0.1
    if kind == "classes":
        assert by_hand[11] == 0  # Alone in its class.


def test_both_branches_of_the_mining_are_tested():
    embeddings = make_embeddings()[IS_REAL]
    distance = ((embeddings[:, None] - embeddings) ** 2).sum(-1)
    labels = LABELS[IS_REAL]
    has_farther = [
        (distance[i] > distance[i, p])[labels != labels[i]].any()
        for i, p in zip(*np.nonzero(labels[:, None] == labels), strict=True)
        if i != p
    ]
    assert any(has_farther) and not all(has_farther)


@pytest.mark.parametrize("name", LOSSES)
def test_padding_weighs_nothing_and_gets_no_gradient(name):
    task = make_task(name)
    embeddings = make_embeddings().astype(np.float32)
    logits = np.concatenate([embeddings, np.zeros((len(LABELS), CLASSES), np.float32)], axis=1)
    weight = jnp.where(jnp.array(IS_REAL), 1.0, 0.0)
    compare = jax.value_and_grad(task.batch_loss)
    loss, gradient = compare(jnp.array(logits), jnp.array(LABELS), weight)
    assert loss > 0.1 and jnp.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[12:], 0)
    assert (jnp.abs(gradient[:11, :DIM]).sum(axis=1) > 0).sum() > 6
    # No loss reads the probe.
    np.testing.assert_array_equal(gradient[:, DIM:], 0)
    # Whatever the padding holds: other embeddings, other labels, nothing that is a number.
    labels = LABELS.copy()
    labels[12:] = -1
    for garbage in (5.0, np.nan):
        other = logits.copy()
        other[12:] = garbage
        same, same_gradient = compare(jnp.array(other), jnp.array(labels), weight)
        np.testing.assert_array_equal(same, loss)
        np.testing.assert_array_equal(same_gradient[:12], gradient[:12])
    alone = task.batch_loss(jnp.array(logits[:12]), jnp.array(LABELS[:12]), jnp.ones(12))
    assert float(alone) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("real", [0, 1, 2])
def test_a_batch_without_any_pair_costs_nothing(name, real):
    task = make_task(name)
    logits = jnp.array(np.random.default_rng(0).normal(size=(3, DIM + CLASSES)))
    weight = (jnp.arange(3) < real).astype(jnp.float32)
    loss, gradient = jax.value_and_grad(task.batch_loss)(logits, jnp.array([0, 1, 2]), weight)
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_a_weight_scales_an_anchor():
    task, logits = make_task("supcon"), jnp.array(make_embeddings())
    weight, labels = np.where(IS_REAL, 1.0, 0.0), jnp.array(LABELS)
    losses = LOSSES["supcon"](logits, same_class(labels, CLASSES), jnp.array(IS_REAL))
    weight[3] = 2.5
    expected = float(losses.sum() + 1.5 * losses[3]) / 12
    assert float(task.batch_loss(logits, labels, jnp.array(weight))) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 100.0])
def test_any_temperature_is_stable(temperature):
    embeddings, labels = make_embeddings()[IS_REAL], LABELS[IS_REAL]
    similarity, is_real = same_class(jnp.array(labels), CLASSES), jnp.ones(12, bool)

    def loss(embeddings):
        return supervised_contrastive(embeddings, similarity, is_real, temperature)

    expected = supcon_by_hand(embeddings, labels, "classes", temperature)
    single = jnp.array(embeddings, jnp.float32)
    np.testing.assert_allclose(loss(single), expected, rtol=1e-3, atol=1e-3)
    assert jnp.isfinite(jax.grad(lambda e: loss(e).sum())(single)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_learning_brings_what_is_alike_together(name):
    """And levels into their order: neighbours end nearer than the ends of the scale."""
    labels = jnp.array(np.repeat([0, 1, 2], 5))
    task = make_task(name, "ordered", classes=3)
    optimizer = optax.adam(0.05)

    def normalise(x):
        return x / jnp.linalg.norm(x, axis=1, keepdims=True)

    def update(_, carry):
        x, state = carry
        gradient = jax.grad(lambda x: task.batch_loss(normalise(x), labels, jnp.ones(15)))(x)
        updates, state = optimizer.update(gradient, state)
        return x + updates, state

    x = jnp.array(np.random.default_rng(0).normal(size=(15, DIM)))
    x, _ = jax.lax.fori_loop(0, 300, update, (x, optimizer.init(x)))
    cosine = np.asarray(normalise(x) @ normalise(x).T)
    blocks = cosine.reshape(3, 5, 3, 5).mean(axis=(1, 3))
    assert blocks.diagonal().min() > blocks[0, 1] > blocks[0, 2]
    assert blocks.diagonal().min() > blocks[1, 2] > blocks[0, 2]


KEYS = {
    "supcon": {"temperature": 0.1, "projection_dim": DIM},
    "triplet": {"margin": 0.3, "projection_dim": DIM},
}


def make_task(name, kind="unordered", classes=CLASSES):
    return TASKS[kind][name].make(Labels(classes, minimum=0.0, maximum=1.0), **KEYS[name])


def make_head(outputs):
    sizes = {"hidden_dim": 8, "outputs": outputs, "projection_dim": DIM}
    return ProjectionHead(**sizes, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)


def test_the_head_projects_onto_the_sphere_and_probes_where():
    head = make_head(DIM + CLASSES)
    embedding = jnp.array(np.random.default_rng(0).normal(size=(5, 3, 7)))
    variables = head.init(jax.random.key(0), embedding)
    outputs = head.apply(variables, embedding)
    np.testing.assert_allclose(jnp.linalg.norm(outputs[..., :DIM], axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(outputs[..., DIM:], 0)
    gradient = jax.grad(lambda x: head.apply(variables, x)[..., 0].sum())(0 * embedding)
    assert jnp.isfinite(gradient).all()


def make_blobs(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    embeddings = np.random.default_rng(9).normal(size=(classes, DIM))[labels]
    embeddings = embeddings + rng.normal(size=(count, DIM))
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), labels


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("is_balanced", [True, False])
def test_the_probe_is_scikit_learns(classes, is_balanced):
    embeddings, labels = make_blobs(90, classes)
    embeddings, labels = embeddings[labels < 2 + (labels > 1)], labels
    keep = (labels != 1) | (np.arange(90) % 3 == 0)
    embeddings, labels = embeddings[keep], labels[keep]
    new, _ = make_blobs(20, classes, seed=1)
    probe = fit_probe(embeddings, labels, classes, is_balanced=is_balanced)
    weights = "balanced" if is_balanced else None
    regression = LogisticRegression(class_weight=weights, max_iter=1000).fit(embeddings, labels)
    found = jax.nn.softmax(new @ probe.kernel + probe.bias)
    np.testing.assert_allclose(found, regression.predict_proba(new), rtol=1e-4, atol=1e-5)
    neighbours = KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(embeddings, labels)
    np.testing.assert_allclose(probe.nearest_labels(new), neighbours.predict_proba(new))


def test_a_probe_without_a_class_is_refused():
    embeddings, labels = make_blobs(10, 2)
    with pytest.raises(ValueError, match="class 2 has none"):
        fit_probe(embeddings, labels, 3, is_balanced=True)
    # Fewer images than neighbours are asked for: all of them.
    probe = fit_probe(embeddings[:4], np.array([0, 0, 0, 1]), 2, is_balanced=True)
    np.testing.assert_allclose(probe.nearest_labels(embeddings[4:]), [[0.75, 0.25]] * 6)


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
