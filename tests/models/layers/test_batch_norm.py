"""Parts of BatchNorm by hand; the whole layer is held to its plain form in `test_convolution`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.layers.batch_norm import (
    Statistics,
    move_statistics,
    normalise,
    normalise_batch,
    relu6,
)

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (4, 5, 6, 3)).astype(np.float32)
SCALE, BIAS = np.float32([1, 2, 0.5]), np.float32([0, 1, 3])


def test_relu6_has_no_slope_at_its_ends():
    x = jnp.array([-1.0, 0.0, 0.5, 5.5, 6.0, 7.0])
    np.testing.assert_array_equal(relu6(x), [0, 0, 0.5, 5.5, 6, 6])
    np.testing.assert_array_equal(jax.vmap(jax.grad(relu6))(x), [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize("is_cut", [False, True])
def test_given_statistics_normalise(is_cut):
    mean, var = np.float32([3, 2, 4]), np.float32([4, 1, 9])
    expected = (X - mean) / np.sqrt(var + 1e-5) * SCALE + BIAS
    expected = np.clip(expected, 0, 6) if is_cut else expected
    found = normalise(*map(jnp.asarray, (X, SCALE, BIAS, mean, var)), is_cut)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    half = normalise(
        jnp.asarray(X, jnp.bfloat16), *map(jnp.asarray, (SCALE, BIAS, mean, var)), is_cut
    )
    assert half.dtype == jnp.bfloat16


@pytest.mark.parametrize("shift", [0.0, 3.0, 50.0])
def test_statistics_are_those_of_real_examples_wherever_squares_are_summed_about(shift):
    mask = np.array([True, False, True, True])
    arguments = map(jnp.asarray, (X, SCALE, BIAS, mask, np.full(3, shift, np.float32)))
    y, found = normalise_batch(*arguments, False, None)
    real = X[mask].astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(found.mean, real.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.var, real.var(axis=0), rtol=1e-3)
    assert found.count == 3 * 5 * 6
    expected = (X - real.mean(axis=0)) / np.sqrt(real.var(axis=0) + 1e-5) * SCALE + BIAS
    np.testing.assert_allclose(y, expected, atol=5e-3)


def test_running_statistics_move_a_tenth_of_the_way_by_the_unbiased_variance():
    mean, var = jnp.array([1.0, 2.0]), jnp.array([4.0, 5.0])
    batch = Statistics(jnp.array([11.0, 2.0]), jnp.array([8.0, 0.0]), jnp.array(5.0))
    moved = move_statistics(mean, var, batch)
    np.testing.assert_allclose(moved[0], [2, 2], rtol=1e-6)
    np.testing.assert_allclose(moved[1], [4 + 0.1 * (10 - 4), 4.5], rtol=1e-6)
    empty = move_statistics(mean, var, batch._replace(count=jnp.array(0.0)))
    np.testing.assert_array_equal(empty, [mean, var])
