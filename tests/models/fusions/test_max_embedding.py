"""The maximum over tiles."""

import jax.numpy as jnp
import numpy as np

from benchmarks.fusion_proofs import make_fusion


def test_max_shares_ties():
    embeddings = jnp.array([[[1.0, 0, 3], [2.0, 0, 1], [0.0, 0, 9]]])
    mask = jnp.array([[True, True, False]])
    position, grid = jnp.zeros((1, 3, 2), jnp.int32), jnp.array([[1, 3]])
    fused = make_fusion("max_embedding").apply({}, embeddings, mask, position, grid)
    np.testing.assert_allclose(fused.embedding, [[2, 0, 3]])
    np.testing.assert_allclose(fused.attention, [[0.5, 0.5, 0]])
