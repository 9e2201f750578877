"""A line per set of images: it rises, and the first set has none."""

import jax
import jax.numpy as jnp
import numpy as np

from iqa_jax.models.set_scales import SetScales

OUTPUTS = jnp.array([[-1.0], [0.5], [2.0], [0.5]])
SET_ID = jnp.array([0, 1, 2, 0])


def test_all_sets_begin_on_the_scale_of_the_first():
    found, variables = SetScales(3).init_with_output(jax.random.key(0), OUTPUTS, SET_ID)
    np.testing.assert_array_equal(found, OUTPUTS)
    assert {name: leaf.shape for name, leaf in variables["params"].items()} == {
        "log_slope": (2,), "shift": (2,)
    }  # fmt: skip


def test_each_set_has_a_line_of_its_own_that_rises_whatever_is_learnt():
    for value in (-0.3, 0.2):
        learnt = {"log_slope": jnp.array([value, 0.0]), "shift": jnp.array([0.01, -0.02])}
        found = SetScales(3).apply({"params": learnt}, OUTPUTS, SET_ID)
        slope = np.exp(10 * value)
        np.testing.assert_allclose(found[:, 0], [-1, 0.5 * slope + 0.1, 2 - 0.2, 0.5], rtol=1e-6)
        assert slope > 0


def test_tiles_have_the_line_of_their_image():
    learnt = {"log_slope": jnp.array([0.1, -0.1]), "shift": jnp.array([0.03, 0.0])}
    tiles = jnp.repeat(OUTPUTS[:, None], 5, axis=1)
    found = SetScales(3).apply({"params": learnt}, tiles, SET_ID)
    alone = SetScales(3).apply({"params": learnt}, OUTPUTS, SET_ID)
    np.testing.assert_array_equal(found, np.repeat(alone[:, None], 5, axis=1))
