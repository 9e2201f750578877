"""Every task answers with probabilities or a score on the label's scale, however it learns."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import default
from input_pipeline.distortions.catalogue import DISTORTIONS
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.learning.sharding import jit_placement, pmap_placement
from iqa_jax.learning.state import create_state
from iqa_jax.learning.steps import train_step
from iqa_jax.learning.tasks import CLASS_CONTRASTS, TASKS, Labels, default_loss
from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from iqa_jax.learning.tasks.scoring import REGRESSIONS, keep_on_scale
from iqa_jax.models.heads import CoralHead, TwoLayerHead
from iqa_jax.models.quality_model import ModelOutput, QualityModel
from iqa_jax.run import build

_RNG = np.random.default_rng(0)
_ALL = [(kind, name) for kind, losses in TASKS.items() for name in losses]


def _task(kind, name, **changes):
    """Makes a task as by default; `changes` are of its labels and of the keys of its loss."""
    loss, labels = TASKS[kind][name], {"classes": 2 if kind == "binary" else 5}
    labels |= {"minimum": 1.0, "maximum": 5.0}
    keys = default.get_config().loss[loss.section].to_dict() if loss.section else {}
    small = {"label_smoothing": 0.0, "bins": 9, "projection_dim": 8}
    keys |= {key: value for key, value in (small | changes).items() if key in keys}
    labels |= {key: value for key, value in changes.items() if key not in keys}
    return loss.make(Labels(**labels), **keys)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_the_default_losses():
    assert {kind: default_loss(kind) for kind in TASKS} == {
        "binary": "cross_entropy",
        "ordered": "cross_entropy",
        "unordered": "cross_entropy",
        "numeric": "huber",
        "ranking": "hinge",
        "pairs": "logistic",
    }


@pytest.mark.parametrize(("kind", "name"), _ALL)
def test_answers_are_distributions_or_scores_for_any_logits(kind, name):
    task = _task(kind, name)
    for size in (0.0, 1.0, 30.0, 1e4):
        logits = size * _RNG.normal(size=(3, 6, task.outputs)).astype(np.float32)
        values = np.asarray(task.predict(jnp.array(logits)))
        assert np.isfinite(values).all()
        if not KINDS[kind].has_classes:
            assert values.shape == (3, 6, 1)
        else:
            assert values.shape == (3, 6, 2 if kind == "binary" else 5)
            assert (values >= 0).all()
            np.testing.assert_allclose(values.sum(-1), 1, rtol=1e-5)


def test_coral_answers_with_differences_of_its_cumulative_probabilities():
    logits = -np.sort(-_RNG.normal(size=(20, 4)), axis=-1)
    found = _task("ordered", "coral").predict(jnp.array(logits))
    above = _sigmoid(logits)
    expected = [1 - above[:, 0], *(above[:, k - 1] - above[:, k] for k in (1, 2, 3)), above[:, 3]]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-4, atol=1e-6)
    # The grade of the paper, the number of steps with a probability over a half, is the median.
    median = (np.cumsum(found, axis=1) < 0.5).sum(axis=1)
    np.testing.assert_array_equal(median, (above > 0.5).sum(axis=1))


def test_corn_answers_with_the_chain_of_its_conditional_probabilities():
    logits = _RNG.normal(size=(20, 4))
    found = _task("ordered", "corn").predict(jnp.array(logits))
    expected = np.ones((20, 5))
    for k in range(4):
        expected[:, k] *= 1 - _sigmoid(logits[:, k])
        expected[:, k + 1 :] *= _sigmoid(logits[:, k : k + 1])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in TASKS["ordered"] if n not in CLASS_CONTRASTS])
def test_learning_one_grade_leads_to_that_grade(name):
    task, label = _task("ordered", name), jnp.array([0, 2, 4])

    def loss(logits):
        return task.loss(logits, label).sum()

    logits = 0.1 * jnp.array(_RNG.normal(size=(3, task.outputs)))
    optimizer = optax.adam(0.3)

    def update(_, carry):
        logits, state = carry
        updates, state = optimizer.update(jax.grad(loss)(logits), state)
        return logits + updates, state

    logits, _ = jax.lax.fori_loop(0, 200, update, (logits, optimizer.init(logits)))
    probabilities = task.predict(logits)
    assert probabilities.argmax(-1).tolist() == [0, 2, 4]
    assert probabilities.max(-1).min() > 0.9


@pytest.mark.parametrize("name", ["huber", "l1", "l2"])
def test_regression_keeps_the_scale(name):
    task = _task("numeric", name, minimum=20.0, maximum=80.0)
    logits, label = jnp.array([[-0.8], [0.0], [0.5]]), jnp.array([26.0, 50.0, 65.0])
    np.testing.assert_allclose(task.predict(logits)[:, 0], label)
    np.testing.assert_allclose(task.target(label), logits)
    np.testing.assert_allclose(task.loss(logits, label), 0, atol=1e-6)
    assert task.loss(logits, label + 30).min() > 0
    assert task.batch_loss is None


def test_scores_keep_to_their_scale_by_golden_values():
    scores = jnp.array([50.0, 95.0, 97.5, 100.0, 105.0, 1000.0, -10.7, 0.0, 2.5, 5.0])
    expected = [50, 95, 290 / 3, 97.5, 295 / 3, 95 + 5 * 905 / 910, 5 - 5 * 15.7 / 20.7, 2.5,
                10 / 3, 5]  # fmt: skip
    np.testing.assert_allclose(keep_on_scale(scores, 0, 100), expected, rtol=1e-6)


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 100), (1, 5), (-3.7, 11.3), (0, 1)])
def test_scores_off_their_scale_keep_their_order_and_its_ends(minimum, maximum):
    width = maximum - minimum
    far = np.arange(minimum - 10 * width, maximum + 10 * width, width / 100, np.float32)
    kept = np.asarray(keep_on_scale(jnp.array(far), minimum, maximum))
    assert kept.dtype == np.float32 and (np.diff(kept) > 0).all()
    assert minimum < kept.min() and kept.max() < maximum
    inner = np.linspace(minimum + 0.0501 * width, maximum - 0.0501 * width, 999, dtype=np.float32)
    np.testing.assert_array_equal(keep_on_scale(jnp.array(inner), minimum, maximum), inner)
    farthest = keep_on_scale(jnp.array([-3e38, 3e38]), minimum, maximum)
    assert np.isfinite(farthest).all()
    # Both ends are alike, so a column in which lower is better gets the mirror image.
    mirrored = keep_on_scale(jnp.array(minimum + maximum - far), minimum, maximum)
    np.testing.assert_allclose(minimum + maximum - mirrored, kept, atol=1e-5 * width)


@pytest.mark.parametrize("name", ["huber", "l1", "l2"])
def test_the_loss_sees_what_lies_beyond_the_scale(name):
    task = _task("numeric", name, minimum=20.0, maximum=80.0)
    logits, label = jnp.array([[2.0], [3.0]]), jnp.array([80.0, 80.0])
    assert (task.predict(logits) < 80).all()
    assert task.loss(logits, label)[1] > 1.5 * task.loss(logits, label)[0]


@pytest.mark.parametrize("name", TASKS["ranking"])
def test_comparing_knows_pairs_and_the_scale_of_the_margin(name):
    narrow = _task("ranking", name, minimum=20.0, maximum=80.0)
    # Pairs have no scale to keep to.
    np.testing.assert_allclose(narrow.predict(jnp.array([[-9.0], [0.5]]))[:, 0], [-220, 65])
    label, weight = jnp.array([[0, 0], [0, -1]]), jnp.ones(2)
    assert (narrow.loss(jnp.ones((2, 1)), label) == 0).all()
    # A tenth of the range is 0.2 of the output from -1 to 1.
    leads = jnp.array([0.0, 0.2, 0.4])
    logits = leads[:, None, None] * jnp.array([[1.0], [0.0]])
    batch = {"label": label, "weight": weight}
    losses = [narrow.batch_loss(lead, batch) for lead in logits]
    assert losses[0] > losses[1] >= losses[2]
    if name == "hinge":
        np.testing.assert_allclose(losses, [0.1, 0, 0], atol=1e-7)


def test_the_plcc_term_is_added_to_a_loss_that_keeps_the_scale():
    task = _task("numeric", "l2", plcc_weight=2.0)
    logits, label = jnp.array([[0.1], [0.2], [0.9]]), jnp.array([3.0, 4.0, 1.0])
    expected = 2 * (1 - np.corrcoef(logits[:, 0], label)[0, 1])
    batch = {"label": label, "weight": jnp.ones(3)}
    assert task.batch_loss(logits, batch) == pytest.approx(expected, rel=1e-5)
    shifted = task.batch_loss(0.1 * logits + 3, batch)
    assert shifted == pytest.approx(expected, rel=1e-4)
    assert task.loss(0.1 * logits + 3, label).sum() > task.loss(logits, label).sum() + 1


def test_scores_are_compared_within_their_set_alone():
    make = TASKS["numeric"]["l2"].make
    task = make(Labels(0, 1.0, 5.0, sets=2), plcc_weight=2.0)
    scores, label = _RNG.normal(size=9).astype(np.float32), _RNG.uniform(1, 5, 9)
    batch = {
        "label": jnp.array(label, jnp.float32),
        "set_id": jnp.array([0, 1, 0, 0, 1, 0, 1, 0, 0]),
        "weight": jnp.array([1.0, 1, 1, 1, 1, 1, 1, 1, 0]),  # The last one is masked.
    }
    first, second = [0, 2, 3, 5, 7], [1, 4, 6]
    plcc = [np.corrcoef(scores[rows], label[rows])[0, 1] for rows in (first, second)]
    expected = 2 * (5 * (1 - plcc[0]) + 3 * (1 - plcc[1])) / 8
    found = task.batch_loss(jnp.array(scores)[:, None], batch)
    assert found == pytest.approx(expected, rel=1e-5)
    # However far apart the sets' labels are.
    batch["label"] += 1.5 * batch["set_id"].astype(jnp.float32)
    moved = task.batch_loss(jnp.array(scores)[:, None], batch)
    assert moved == pytest.approx(expected, rel=1e-4)


def test_the_distribution_of_ratings_answers_with_its_mean():
    task = _task("numeric", "emd")
    probabilities = jnp.array(_RNG.dirichlet(np.ones(9), size=4))
    found = task.predict(jnp.log(probabilities))[:, 0]
    np.testing.assert_allclose(found, probabilities @ np.linspace(1, 5, 9), rtol=1e-5)
    np.testing.assert_allclose(task.loss(jnp.log(probabilities), probabilities), 0, atol=1e-6)


@pytest.mark.parametrize("head", [TwoLayerHead, CoralHead])
def test_a_head_of_one_layer_begins_at_0_and_learns(head):
    head = head(0, outputs=3, dropout=0.0, dtype=jnp.float32, begins_at_zero=False)
    embedding = jnp.ones((2, 5))
    params = head.init(jax.random.key(0), embedding)["params"]
    assert "hidden" not in params
    assert not params["output"]["kernel"].any()

    def answer(params, embedding):
        return head.apply({"params": params}, embedding).sum()

    # Nothing reaches what is before it until it has learnt something itself.
    of_params, of_embedding = jax.grad(answer, argnums=(0, 1))(params, embedding)
    assert not of_embedding.any()
    assert of_params["output"]["kernel"].all()


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_begins_in_the_middle_of_its_scale(name):
    config = default.get_config()
    config.data.label_kind, config.loss.name = "numeric", name
    head, task = build.model_from_config(config).head, build.task_from_config(config)
    embedding = jnp.array(_RNG.normal(size=(10, 3)))
    variables = head.init(jax.random.key(0), embedding)
    np.testing.assert_array_equal(task.predict(head.apply(variables, embedding)), 50)
    # All units of the hidden layer must not learn the same.
    assert jnp.ptp(variables["params"]["hidden"]["kernel"]) > 0.1


def test_the_coral_head_shares_its_weights_and_starts_in_order():
    head = CoralHead(6, outputs=4, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)
    embedding = jnp.array(_RNG.normal(size=(10, 3)))
    params = head.init(jax.random.key(0), embedding)["params"]
    assert params["output"]["kernel"].shape == (6, 1)
    np.testing.assert_allclose(params["bias"], [1, 3 / 4, 2 / 4, 1 / 4])
    logits = head.apply({"params": params}, embedding)
    np.testing.assert_allclose(jnp.diff(logits), -0.25, atol=1e-5)
    assert jnp.ptp(logits[:, 0]) > 0.1


def test_a_score_is_written_in_the_direction_of_its_label():
    values = np.array([[20.0], [70.0]])
    numeric = partial(KINDS["numeric"], minimum=0, maximum=100)
    assert numeric(higher_is_better=False).written_score(values).tolist() == [80, 30]
    assert numeric().written_score(values).tolist() == [20, 70]
    good = np.array([[0.2, 0.8]])
    assert KINDS["binary"](higher_is_better=False).written_score(good).tolist() == [0.8]


class _Linear(QualityModel):
    """Stands for the network: the logits are linear in the mean colour of a bag's tiles."""

    def apply(self, variables, batch, **_):
        features = batch["tiles"].mean(axis=(1, 2, 3))
        logits = features @ variables["params"]["kernel"]
        output = ModelOutput(logits, None, batch["tile_mask"].astype(jnp.float32), features)
        return output, {"batch_stats": {}}


_NO_CHANGE = {
    "flip_horizontal": False, "flip_vertical": False, "hue_jitter": 0.0, "saturation_jitter": 0.0,
}  # fmt: skip


def _batch(kind, name):
    rng = np.random.default_rng(1)
    if kind in ("ranking", "pairs"):
        label = np.stack([np.arange(16) // 6, -(np.arange(16) % 6)], axis=1).astype(np.int32)
    elif kind != "numeric":
        label = rng.integers(0, 2 if kind == "binary" else 5, 16).astype(np.int32)
    elif name == "emd":
        label = rng.dirichlet(np.ones(9), 16).astype(np.float32)
    else:
        label = rng.uniform(1, 5, 16).astype(np.float32)
    return {
        "tiles": rng.integers(0, 256, (16, 1, 4, 4, 3), np.uint8),
        "tile_mask": np.ones((16, 1), bool),
        "tile_position": np.zeros((16, 1, 2), np.int32),
        "grid_shape": np.ones((16, 2), np.int32),
        "label": label,
        "mask": np.arange(16) < 11,
        "weight": rng.uniform(0.5, 2, 16).astype(np.float32),
    }


def _update(task, batch, placement, distortions=()):
    optimizer = optax.sgd(0.5)
    kernel = jnp.array(np.random.default_rng(2).normal(size=(3, task.outputs)), jnp.float32)
    variables = {"params": {"kernel": kernel}, "batch_stats": {}}
    state = create_state(variables, optimizer, lambda path: True)
    step = partial(
        train_step,
        model=_Linear(None, None, None, None, 0),
        task=task,
        optimizer=optimizer,
        is_trainable=lambda path: True,
        augmentation=_NO_CHANGE,
        key=jax.random.key(0),
        total_steps=1,
        distortions=distortions,
        axis_name=placement.axis_name,
    )
    update = placement.compile_step(step)
    state, metrics = update(placement.place_state(state), placement.place_batch(batch))
    return np.asarray(placement.fetch_state(state).params["kernel"]), float(metrics["loss"])


@pytest.mark.parametrize(
    ("kind", "name", "changes"),
    [
        ("binary", "cross_entropy", {}),
        ("unordered", "symmetric_cross_entropy", {}),
        ("ordered", "generalised_cross_entropy", {}),
        ("ordered", "coral", {}),
        ("ordered", "corn", {}),
        ("numeric", "emd", {}),
        ("numeric", "l2", {"plcc_weight": 0.7}),
        ("ranking", "hinge", {}),
        ("pairs", "probit", {}),
        ("binary", "supcon", {}),
        ("ordered", "triplet", {"margin": 2.0}),
    ],
)
def test_devices_and_masked_examples_do_not_change_an_update(kind, name, changes):
    task, batch = _task(kind, name, **changes), _batch(kind, name)
    devices = jax.devices()
    kernel, loss = _update(task, batch, jit_placement(devices[:1]))

    real = {key: value[:11] for key, value in batch.items()}
    others = {**batch, "label": np.concatenate([batch["label"][:11], batch["label"][:5]])}
    for same in (
        _update(task, batch, jit_placement(devices[:8])),
        _update(task, batch, pmap_placement(devices[:8])),
        _update(task, real, jit_placement(devices[:1])),
        _update(task, others, jit_placement(devices[:1])),
    ):
        np.testing.assert_allclose(same[0], kernel, rtol=2e-5, atol=2e-6)
        assert same[1] == pytest.approx(loss, rel=1e-5)

    colours = real["tiles"].mean(axis=(1, 2, 3)) / 255
    logits = jnp.array(colours @ np.random.default_rng(2).normal(size=(3, task.outputs)))
    label, weight = jnp.asarray(real["label"]), jnp.asarray(real["weight"])
    expected = (weight * task.loss(logits, label)).sum() / task.terms(label).sum()
    if task.batch_loss:
        expected += task.batch_loss(logits, {"label": label, "weight": weight})
    assert loss == pytest.approx(float(expected), rel=1e-4)


def test_devices_degrade_alike():
    task, batch = _task("ranking", "logistic"), _batch("ranking", "logistic")
    changes = [DISTORTIONS[name].on_device for name in ("white_noise", "contrast_loss")]
    batch |= {
        "distortion": (np.arange(16) % 3).astype(np.int32),
        "strength": np.full(16, 0.3, np.float32),
        "chance": np.arange(16, dtype=np.uint32),
    }
    kernel, loss = _update(task, batch, jit_placement(jax.devices()[:1]), changes)
    for placement in (jit_placement, pmap_placement):
        same = _update(task, batch, placement(jax.devices()[:8]), changes)
        np.testing.assert_allclose(same[0], kernel, rtol=2e-5, atol=2e-6)
        assert same[1] == pytest.approx(loss, rel=1e-5)
    clean = _update(task, batch | {"distortion": np.zeros(16, np.int32)},
                    jit_placement(jax.devices()[:1]), changes)  # fmt: skip
    assert clean[1] != pytest.approx(loss, rel=1e-3)


def test_without_weights_all_examples_weigh_one():
    task, batch = _task("binary", "cross_entropy"), _batch("binary", "cross_entropy")
    placement = jit_placement(jax.devices()[:1])
    ones = _update(task, {**batch, "weight": np.ones(16, np.float32)}, placement)
    del batch["weight"]
    none = _update(task, batch, placement)
    np.testing.assert_array_equal(none[0], ones[0])
    assert none[1] == ones[1]


@pytest.mark.parametrize(("kind", "name"), _ALL)
def test_the_network_has_the_outputs_of_every_task(kind, name):
    config = default.get_config()
    config.data.label_kind, config.loss.name = kind, name
    config.data.classes = ("bad", "fair", "good")[: 2 if kind == "binary" else 3]
    config.encoder.mobilenet_v2.width_multiplier, config.tiles.size = 0.1, 32
    state = build.abstract_state_from_config(config)
    head, task = state.params["head"], build.task_from_config(config)
    if name == "coral":
        assert head["output"]["kernel"].shape == (128, 1)
        assert head["bias"].shape == (2,)
    elif name in CLASS_CONTRASTS:
        classes = len(config.data.classes)
        width = config.loss[name].projection_dim
        assert head["output"]["kernel"].shape == (128, width)
        assert head["probe_kernel"].shape == (width, classes)
        assert task.outputs == width + classes
        return
    else:
        assert head["output"]["kernel"].shape == (128, task.outputs)
    width = {"coral": 2, "corn": 2} | dict.fromkeys(CLASSIFICATIONS, len(config.data.classes))
    expected = {"emd": 10} if kind == "numeric" else width
    assert task.outputs == expected.get(name, 3 if KINDS[kind].has_classes else 1)
