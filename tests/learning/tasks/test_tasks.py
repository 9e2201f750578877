"""Every task answers with probabilities or a score on the label's scale, however it learns."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from input_pipeline.distortions.catalogue import DISTORTIONS
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.learning.sharding import jit_placement, pmap_placement
from iqa_jax.learning.state import create_state
from iqa_jax.learning.steps import train_step
from iqa_jax.learning.tasks import CLASS_CONTRASTS, TASKS, default_loss
from iqa_jax.models.quality_model import ModelOutput, QualityModel
from small_tasks import make_task

_RNG = np.random.default_rng(0)
_ALL = [(kind, name) for kind, losses in TASKS.items() for name in losses]


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
    task = make_task(kind, name)
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


@pytest.mark.parametrize("name", [n for n in TASKS["ordered"] if n not in CLASS_CONTRASTS])
def test_learning_one_grade_leads_to_that_grade(name):
    task, label = make_task("ordered", name), jnp.array([0, 2, 4])

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
        model=_Linear(None, None, None, None, 0, None),
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
    task, batch = make_task(kind, name, **changes), _batch(kind, name)
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
    task, batch = make_task("ranking", "logistic"), _batch("ranking", "logistic")
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
    task, batch = make_task("binary", "cross_entropy"), _batch("binary", "cross_entropy")
    placement = jit_placement(jax.devices()[:1])
    ones = _update(task, {**batch, "weight": np.ones(16, np.float32)}, placement)
    del batch["weight"]
    none = _update(task, batch, placement)
    np.testing.assert_array_equal(none[0], ones[0])
    assert none[1] == ones[1]
