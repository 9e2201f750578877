"""Heads: where they begin, what their outputs share, and what is projected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.heads import CoralHead, ProjectionHead, TwoLayerHead

CLASSES, DIM = 4, 6
_RNG = np.random.default_rng(0)


def make_head(outputs):
    sizes = {"hidden_dim": 8, "outputs": outputs, "projection_dim": DIM}
    return ProjectionHead(**sizes, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)


def test_the_head_projects_onto_the_sphere_and_probes_where():
    head = make_head(DIM + CLASSES)
    embedding = jnp.array(np.random.default_rng(0).normal(size=(5, 3, 7)))
    variables = head.init(jax.random.key(0), embedding)
    outputs = head.apply(variables, embedding)
    np.testing.assert_allclose(jnp.linalg.norm(outputs[..., :DIM], axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(outputs[..., DIM:], 0)
    gradient = jax.grad(lambda x: head.apply(variables, x)[..., 0].sum())(0 * embedding)
    assert jnp.isfinite(gradient).all()


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


def test_the_coral_head_shares_its_weights_and_starts_in_order():
    head = CoralHead(6, outputs=4, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)
    embedding = jnp.array(_RNG.normal(size=(10, 3)))
    params = head.init(jax.random.key(0), embedding)["params"]
    assert params["output"]["kernel"].shape == (6, 1)
    np.testing.assert_allclose(params["bias"], [1, 3 / 4, 2 / 4, 1 / 4])
    logits = head.apply({"params": params}, embedding)
    np.testing.assert_allclose(jnp.diff(logits), -0.25, atol=1e-5)
    assert jnp.ptp(logits[:, 0]) > 0.1
