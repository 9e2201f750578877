"""Naming a class: the answer is the softmax, and the loss the one that is named, with its keys."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from small_tasks import make_task

LOGITS = np.random.default_rng(0).normal(size=(6, 5))
LABEL = np.array([0, 1, 2, 3, 4, 0])
P = softmax(LOGITS, axis=1)
LOG_P = np.log(P)[np.arange(6), LABEL]


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_the_answer_is_a_probability_per_class(name):
    task = make_task("unordered", name)
    assert task.outputs == 5 and task.batch_loss is None and not task.projection_dim
    np.testing.assert_allclose(task.predict(jnp.array(LOGITS)), P, rtol=1e-5)
    np.testing.assert_array_equal(task.terms(jnp.array(LABEL)), np.ones(6))


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("cross_entropy", {"label_smoothing": 0.0}, -LOG_P),
        (
            "cross_entropy",
            {"label_smoothing": 0.2},
            -0.8 * LOG_P - 0.2 * np.log(P).mean(axis=1),
        ),
        (
            "symmetric_cross_entropy",
            {"alpha": 0.3, "beta": 0.7},
            -0.3 * LOG_P + 0.7 * 4 * (1 - np.exp(LOG_P)),
        ),
        ("generalised_cross_entropy", {"q": 0.5}, (1 - np.exp(0.5 * LOG_P)) / 0.5),
    ],
)
def test_the_loss_hears_its_keys(name, keys, expected):
    task = make_task("unordered", name, **keys)
    found = task.loss(jnp.array(LOGITS, jnp.float32), jnp.array(LABEL))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
