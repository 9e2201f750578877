"""DropBlock drops whole squares, the asked share of them, and keeps the mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.layers.drop_block import drop_block


def test_drops_squares_and_rescales_each_example():
    features = jnp.ones((3, 12, 10, 7))
    result = np.asarray(drop_block(features, jax.random.key(0), 0.8, 3))
    dropped = result == 0
    assert dropped.any() and not dropped.all()
    # Every dropped unit lies in a dropped 3 x 3 square.
    corners = np.lib.stride_tricks.sliding_window_view(dropped, (3, 3), (1, 2)).all((-2, -1))
    covered = np.zeros_like(dropped)
    for i in range(3):
        for j in range(3):
            covered[:, i : i + 10, j : j + 8] |= corners
    np.testing.assert_array_equal(covered, dropped)
    np.testing.assert_allclose(result.mean((1, 2, 3)), 1, rtol=1e-5)


@pytest.mark.parametrize("keep", [0.7, 0.9])
def test_keeps_about_the_asked_share(keep):
    features = jnp.ones((64, 24, 24, 16))
    share = np.mean(np.asarray(drop_block(features, jax.random.key(1), keep, 3)) != 0)
    # Squares overlap, so the formula's expectation is an upper bound of what is dropped.
    assert keep - 0.01 <= share <= keep + 0.06


def test_keep_probability_may_be_traced_and_one_changes_nothing():
    features = jax.random.normal(jax.random.key(0), (2, 8, 8, 5))
    run = jax.jit(lambda keep: drop_block(features, jax.random.key(2), keep, 3))
    np.testing.assert_array_equal(run(1.0), features)
    assert not np.array_equal(run(0.5), features)


def test_an_example_does_not_depend_on_the_others():
    features = jax.random.normal(jax.random.key(0), (2, 8, 8, 5))
    changed = features.at[1].mul(100.0)
    first = drop_block(features, jax.random.key(3), 0.7, 3)[0]
    np.testing.assert_array_equal(first, drop_block(changed, jax.random.key(3), 0.7, 3)[0])


def test_a_block_larger_than_the_map_drops_it_whole():
    result = np.asarray(drop_block(jnp.ones((8, 2, 2, 64)), jax.random.key(4), 0.5, 7))
    per_map = result.reshape(8, 4, 64)
    assert np.isfinite(result).all()
    assert ((per_map == 0).all(1) | (per_map != 0).all(1)).all()
