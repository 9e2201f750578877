"""Losses equal their papers' equations, and their gradients stay finite wherever logits go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from iqa_jax.learning.losses import (
    coral,
    corn,
    corn_terms,
    correlation_loss,
    cross_entropy,
    earth_movers_distance,
    generalised_cross_entropy,
    huber,
    l1,
    l2,
    symmetric_cross_entropy,
)

_RNG = np.random.default_rng(0)
_LOGITS = _RNG.normal(size=(7, 4))
_GRADES = np.array([0, 1, 2, 3, 4, 4, 0])


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_cross_entropy_by_hand():
    logits = jnp.log(jnp.array([[0.25, 0.75]]))
    assert cross_entropy(logits, jnp.array([1]), 0.0)[0] == pytest.approx(-np.log(0.75))
    smoothed = -0.95 * np.log(0.75) - 0.05 * np.log(0.25)
    assert cross_entropy(logits, jnp.array([1]), 0.1)[0] == pytest.approx(smoothed)


def _probabilities():
    p = np.exp(_LOGITS)
    return p / p.sum(axis=1, keepdims=True)


def test_symmetric_cross_entropy_is_its_equation():
    p, q = _probabilities(), np.eye(4)[_GRADES % 4]
    reverse = -(p * np.where(q == 0, -4.0, 0.0)).sum(axis=1)
    expected = 0.3 * -(q * np.log(p)).sum(axis=1) + 0.7 * reverse
    found = symmetric_cross_entropy(jnp.array(_LOGITS), jnp.array(_GRADES % 4), 0.3, 0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_symmetric_cross_entropy_without_its_reverse_is_cross_entropy():
    logits, label = jnp.array(_LOGITS), jnp.array(_GRADES % 4)
    found = symmetric_cross_entropy(logits, label, 0.3, 0.0)
    np.testing.assert_allclose(found, 0.3 * cross_entropy(logits, label, 0.0), rtol=1e-6)


def test_generalised_cross_entropy_is_its_equation():
    p = _probabilities()[np.arange(7), _GRADES % 4]
    found = generalised_cross_entropy(jnp.array(_LOGITS), jnp.array(_GRADES % 4), 0.7)
    np.testing.assert_allclose(found, (1 - p**0.7) / 0.7, rtol=1e-5)


def test_generalised_cross_entropy_lies_between_cross_entropy_and_absolute_error():
    logits, label = jnp.array(_LOGITS), jnp.array(_GRADES % 4)
    towards_0 = generalised_cross_entropy(logits, label, 1e-6)
    np.testing.assert_allclose(towards_0, cross_entropy(logits, label, 0.0), rtol=1e-4)
    absolute = np.abs(np.eye(4)[_GRADES % 4] - _probabilities()).sum(axis=1) / 2
    np.testing.assert_allclose(generalised_cross_entropy(logits, label, 1.0), absolute, rtol=1e-5)


def test_the_more_improbable_a_label_the_less_it_pulls_only_with_noise_in_mind():
    """Sure of the other class, cross-entropy pulls with all its might, the others let go."""
    sure = jnp.array([[12.0, 0.0]])

    def pull(loss):
        return float(jnp.abs(jax.grad(lambda z: loss(z, jnp.array([1])).sum())(sure)).sum())

    assert pull(lambda z, y: cross_entropy(z, y, 0.0)) == pytest.approx(2, rel=1e-3)
    assert pull(lambda z, y: generalised_cross_entropy(z, y, 0.7)) < 1e-3
    assert pull(lambda z, y: symmetric_cross_entropy(z, y, 0.1, 1.0)) == pytest.approx(
        0.2, rel=1e-2
    )


def test_coral_is_its_equation():
    expected = []
    for z, grade in zip(_LOGITS, _GRADES, strict=True):
        y = np.array([grade > k for k in range(4)], float)
        log_p = np.log(_sigmoid(z))
        expected.append(-np.sum(log_p * y + (log_p - z) * (1 - y)))
    np.testing.assert_allclose(coral(jnp.array(_LOGITS), jnp.array(_GRADES)), expected, rtol=1e-5)


def test_corn_is_its_equation_with_its_own_normalisation():
    total, rows = 0.0, 0
    for task in range(4):
        asked = _GRADES >= task
        z, y = _LOGITS[asked, task], _GRADES[asked] > task
        total -= np.sum(np.log(_sigmoid(z)) * y + (np.log(_sigmoid(z)) - z) * (1 - y))
        rows += asked.sum()
    losses, terms = corn(jnp.array(_LOGITS), jnp.array(_GRADES)), corn_terms(jnp.array(_GRADES), 5)
    assert terms.tolist() == [1, 2, 3, 4, 4, 4, 1]
    assert float(terms.sum()) == rows
    assert float(losses.sum() / terms.sum()) == pytest.approx(total / rows, rel=1e-5)


def test_corn_asks_nothing_above_the_next_grade():
    gradient = jax.grad(lambda z: corn(z, jnp.array(_GRADES)).sum())(jnp.array(_LOGITS))
    is_asked = np.arange(4) <= _GRADES[:, None]
    np.testing.assert_array_equal(np.asarray(gradient) != 0, is_asked)


def _nima_batch():
    """Gives three pairs whose distances can be worked out by hand, over ten bins."""
    prediction = np.zeros((3, 10))
    prediction[:, 0] = 1
    target = np.zeros((3, 10))
    target[0, [0, 1]] = 0.1, 0.9
    target[1, [0, 7]] = 0.1, 0.9
    target[2, [4, 6]] = 0.5, 0.5
    return jnp.array(1e4 * prediction), jnp.array(target)


def test_earth_movers_distance_takes_the_root_per_example():
    distances = earth_movers_distance(*_nima_batch())
    np.testing.assert_allclose(distances, [0.28460499, 0.75299402, 0.67082039], rtol=1e-6)
    assert distances.mean() == pytest.approx(0.56947313, rel=1e-6)
    # What the mean over the batch inside the root would give.
    assert jnp.sqrt((distances**2).mean()) == pytest.approx(0.60497934, rel=1e-6)


def test_earth_movers_distance_grows_with_the_way():
    target = jax.nn.one_hot(jnp.zeros(10, int), 10)
    distances = earth_movers_distance(1e4 * jnp.eye(10), target)
    np.testing.assert_allclose(distances, np.sqrt(np.arange(10) / 10), rtol=1e-6)


def test_earth_movers_distance_of_equals_has_no_gradient():
    target = jnp.full((1, 4), 0.25)
    value, gradient = jax.value_and_grad(lambda z: earth_movers_distance(z, target).sum())(
        jnp.zeros((1, 4))
    )
    assert value == 0
    assert not gradient.any()


def test_errors_of_scores_by_hand():
    prediction, target = jnp.array([0.1, 0.5, -1.0]), jnp.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(l1(prediction, target), [0.1, 0.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(l2(prediction, target), [0.01, 0.25, 4.0], rtol=1e-6)
    # 0.2 is where the quadratic becomes linear.
    expected = [0.1**2 / 2, 0.2 * (0.5 - 0.1), 0.2 * (2.0 - 0.1)]
    np.testing.assert_allclose(huber(prediction, target), expected, rtol=1e-6)


def test_correlation_loss_is_one_minus_pearson_of_the_real_examples():
    prediction, target = jnp.array(_RNG.normal(size=(2, 20)))
    expected = 1 - np.corrcoef(prediction[:15], target[:15])[0, 1]
    weight = jnp.array(np.repeat([1.0, 0.0], [15, 5]))
    padded = jnp.where(weight > 0, prediction, np.inf)
    assert correlation_loss(padded, target, weight) == pytest.approx(expected, rel=1e-5)
    assert correlation_loss(-3 * target + 2, target, weight) == pytest.approx(2, rel=1e-5)


def test_correlation_loss_weighs_like_repetition():
    prediction, target = jnp.array(_RNG.normal(size=(2, 6)))
    weight = jnp.array([1.0, 2, 1, 3, 1, 1])
    repeated = np.repeat(np.arange(6), weight.astype(int))
    expected = float(correlation_loss(prediction[repeated], target[repeated], jnp.ones(9)))
    assert correlation_loss(prediction, target, weight) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [np.zeros(3), np.array([0.0, 1, 0]), np.ones(3)])
def test_correlation_of_what_does_not_vary_is_neutral(weight):
    value, gradient = jax.value_and_grad(correlation_loss)(
        jnp.full(3, 0.3), jnp.full(3, 0.7), jnp.array(weight)
    )
    assert value == pytest.approx(1)
    assert np.isfinite(gradient).all()


_BY_GRADE = {
    "cross_entropy": lambda z: cross_entropy(z, jnp.array(_GRADES[: len(z)] % 4), 0.1),
    "sce": lambda z: symmetric_cross_entropy(z, jnp.array(_GRADES[: len(z)] % 4), 0.1, 1.0),
    "gce": lambda z: generalised_cross_entropy(z, jnp.array(_GRADES[: len(z)] % 4), 0.7),
    "coral": lambda z: coral(z, jnp.array(_GRADES[: len(z)])),
    "corn": lambda z: corn(z, jnp.array(_GRADES[: len(z)])),
    "emd": lambda z: earth_movers_distance(z, jax.nn.one_hot(_GRADES[: len(z)] % 4, 4)),
}


@pytest.mark.parametrize("name", _BY_GRADE)
def test_gradients_are_right_and_finite_at_the_extremes(name):
    def loss(z):
        return _BY_GRADE[name](jnp.asarray(z)).sum()

    check_grads(loss, (jnp.array(_LOGITS),), order=1, modes="rev", atol=2e-2, rtol=2e-2)
    for signs in (np.ones(4), -np.ones(4), np.array([1, -1, 1, -1])):
        for size in (0.0, 1e4):
            value, gradient = jax.value_and_grad(loss)(jnp.tile(size * signs, (7, 1)))
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("error", [huber, l1, l2])
def test_errors_of_extreme_scores_have_finite_gradients(error):
    for size in (-1e4, 0.0, 1e4):
        gradient = jax.grad(lambda p: error(p, jnp.zeros(1)).sum())(jnp.array([size]))
        assert np.isfinite(gradient).all()
