"""Padding, batches without a pair and weights in the loss of embeddings; what it leads to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from contrastive_batch import CLASSES, DIM, IS_REAL, LABELS, LOSSES, make_embeddings
from iqa_jax.learning.contrastive_losses import same_class
from iqa_jax.learning.tasks import TASKS, Labels


def cost_of(task):
    """Gives the loss of a batch as a function of its parts."""
    return lambda logits, label, weight: task.batch_loss(logits, {"label": label, "weight": weight})


@pytest.mark.parametrize("name", LOSSES)
def test_padding_weighs_nothing_and_gets_no_gradient(name):
    task = make_task(name)
    embeddings = make_embeddings().astype(np.float32)
    logits = np.concatenate([embeddings, np.zeros((len(LABELS), CLASSES), np.float32)], axis=1)
    weight = jnp.where(jnp.array(IS_REAL), 1.0, 0.0)
    compare = jax.value_and_grad(cost_of(task))
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
    alone = cost_of(task)(jnp.array(logits[:12]), jnp.array(LABELS[:12]), jnp.ones(12))
    assert float(alone) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("real", [0, 1, 2])
def test_a_batch_without_any_pair_costs_nothing(name, real):
    task = make_task(name)
    logits = jnp.array(np.random.default_rng(0).normal(size=(3, DIM + CLASSES)))
    weight = (jnp.arange(3) < real).astype(jnp.float32)
    loss, gradient = jax.value_and_grad(cost_of(task))(logits, jnp.array([0, 1, 2]), weight)
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_a_weight_scales_an_anchor():
    task, logits = make_task("supcon"), jnp.array(make_embeddings())
    weight, labels = np.where(IS_REAL, 1.0, 0.0), jnp.array(LABELS)
    losses = LOSSES["supcon"](logits, same_class(labels, CLASSES), jnp.array(IS_REAL))
    weight[3] = 2.5
    expected = float(losses.sum() + 1.5 * losses[3]) / 12
    assert float(cost_of(task)(logits, labels, jnp.array(weight))) == pytest.approx(expected)


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
        gradient = jax.grad(lambda x: cost_of(task)(normalise(x), labels, jnp.ones(15)))(x)
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
