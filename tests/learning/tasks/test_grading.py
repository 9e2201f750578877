"""Grades are answered with probabilities, by the equations of the losses' papers."""

import jax.numpy as jnp
import numpy as np

from small_tasks import make_task

_RNG = np.random.default_rng(0)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_coral_answers_with_differences_of_its_cumulative_probabilities():
    logits = -np.sort(-_RNG.normal(size=(20, 4)), axis=-1)
    found = make_task("ordered", "coral").predict(jnp.array(logits))
    above = _sigmoid(logits)
    expected = [1 - above[:, 0], *(above[:, k - 1] - above[:, k] for k in (1, 2, 3)), above[:, 3]]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-4, atol=1e-6)
    # The grade of the paper, the number of steps with a probability over a half, is the median.
    median = (np.cumsum(found, axis=1) < 0.5).sum(axis=1)
    np.testing.assert_array_equal(median, (above > 0.5).sum(axis=1))


def test_corn_answers_with_the_chain_of_its_conditional_probabilities():
    logits = _RNG.normal(size=(20, 4))
    found = make_task("ordered", "corn").predict(jnp.array(logits))
    expected = np.ones((20, 5))
    for k in range(4):
        expected[:, k] *= 1 - _sigmoid(logits[:, k])
        expected[:, k + 1 :] *= _sigmoid(logits[:, k : k + 1])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
