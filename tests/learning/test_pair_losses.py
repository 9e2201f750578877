"""Exact gradients and likelihoods of pairs; nothing crosses a group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from iqa_jax.learning.pair_losses import hinge, logistic, pair_loss, probit

COSTS = pytest.mark.parametrize("cost", [hinge, logistic, probit])
MARGIN = 0.3


def draw(seed=0, groups=4, levels=5):
    rng = np.random.default_rng(seed)
    label = np.stack([np.repeat(np.arange(groups), levels), np.tile(-np.arange(levels), groups)], 1)
    order = rng.permutation(len(label))
    return rng.normal(size=len(label)).astype(np.float32), label[order].astype(np.int32)


def gradient(scores, label, weight=None, cost=hinge):
    weight = np.ones(len(scores), np.float32) if weight is None else weight
    given = jnp.array(scores), jnp.array(label), jnp.array(weight)
    return np.asarray(jax.grad(pair_loss)(*given, cost, MARGIN))


def ordered_pairs(label):
    return [
        (i, j)
        for i in range(len(label))
        for j in range(len(label))
        if label[i, 0] == label[j, 0] and label[i, 1] > label[j, 1]
    ]


def test_hinge_pulls_each_violated_pair_apart_by_one_over_the_batch():
    scores, label = draw()
    expected, loss = np.zeros(len(scores)), 0.0
    for i, j in ordered_pairs(label):
        lacking = MARGIN - (scores[i] - scores[j])
        if lacking > 0:
            expected[i] -= 1 / len(scores)
            expected[j] += 1 / len(scores)
            loss += lacking / len(scores)
    assert 0 < np.count_nonzero(expected) <= len(scores)
    np.testing.assert_allclose(gradient(scores, label), expected, atol=1e-6)
    found = pair_loss(jnp.array(scores), jnp.array(label), jnp.ones(len(scores)), hinge, MARGIN)
    assert float(found) == pytest.approx(loss, rel=1e-5)


def test_one_violated_pair():
    label = np.array([[7, 1], [7, 0], [8, 1], [8, 0]], np.int32)
    # The first is in the wrong order, the second leads by more than the margin.
    np.testing.assert_allclose(gradient([0.0, 0.5, 1.0, 0.0], label), [-0.25, 0.25, 0, 0])


@COSTS
def test_groups_do_not_meet(cost):
    scores, label = draw()
    is_one = label[:, 0] == 2
    alone = gradient(scores[is_one], label[is_one], cost=cost) * is_one.sum() / len(scores)
    np.testing.assert_allclose(gradient(scores, label, cost=cost)[is_one], alone, atol=1e-6)
    # However far another group is, nothing changes.
    moved = np.where(is_one, scores, scores + 100)
    np.testing.assert_allclose(gradient(moved, label, cost=cost)[is_one], alone, atol=1e-4)
    # A group of one has nothing to be compared with.
    single = np.stack([np.arange(len(scores)), label[:, 1]], axis=1).astype(np.int32)
    np.testing.assert_array_equal(gradient(scores, single, cost=cost), 0)


@COSTS
def test_masked_examples_are_not_there(cost):
    scores, label = draw()
    weight = np.ones(len(scores), np.float32)
    weight[::3] = 0
    scores[::3] = np.nan
    found, kept = gradient(scores, label, weight, cost), weight > 0
    np.testing.assert_array_equal(found[~kept], 0)
    np.testing.assert_allclose(
        found[kept], gradient(scores[kept], label[kept], cost=cost), atol=1e-6
    )


@pytest.mark.parametrize(
    ("cost", "log_probability"), [(logistic, special.log_expit), (probit, stats.norm.logcdf)]
)
def test_likelihoods_are_those_of_scipy_with_ties_as_half(cost, log_probability):
    rng = np.random.default_rng(3)
    scores, ties = rng.normal(size=12), [0, 2, 1, 2, 0, 1]
    label = [(k, grade) for k, tie in enumerate(ties) for grade in (tie, 2 - tie)]
    expected = 0.0
    for k, tie in enumerate(ties):
        difference = (scores[2 * k] - scores[2 * k + 1]) / MARGIN
        share = tie / 2
        expected -= share * log_probability(difference)
        expected -= (1 - share) * log_probability(-difference)
    found = pair_loss(jnp.array(scores), jnp.array(label), jnp.ones(12), cost, MARGIN)
    assert float(found) == pytest.approx(MARGIN * expected / 12, rel=1e-4)


def test_bradley_terry_finds_planted_strengths():
    rng = np.random.default_rng(0)
    strength = np.array([0.0, 0.7, 1.5])
    first, second = rng.integers(0, 3, (2, 6000))
    wins = rng.random(6000) < special.expit(strength[first] - strength[second])
    grades = np.stack([2 * wins, 2 - 2 * wins], axis=1).ravel()
    label = np.stack([np.repeat(np.arange(6000), 2), grades], axis=1).astype(np.int32)
    image = np.stack([first, second], axis=1).ravel()

    # All pairs of 12000 examples at once would be too many: the same sum, group by group.
    def loss(scores):
        each = jax.vmap(lambda s, label: pair_loss(s, label, jnp.ones(2), logistic, 1.0))
        return each(scores[image].reshape(-1, 2), label.reshape(-1, 2, 2)).mean()

    value = jax.jit(jax.value_and_grad(loss))
    found = optimize.minimize(
        lambda x: tuple(np.asarray(part, np.float64) for part in value(jnp.array(x, jnp.float32))),
        np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-4},
    ).x  # fmt: skip
    np.testing.assert_allclose(found - found[0], strength, atol=0.12)


def test_probit_stays_finite_far_out():
    label = np.array([[0, 0], [0, 2]], np.int32)
    found = gradient([30.0, -30.0], label, cost=probit)
    assert np.isfinite(found).all() and found[0] > 0 > found[1]
