"""What fusions share."""

import jax.numpy as jnp
import numpy as np

from iqa_jax.models.fusions.fused import masked_softmax


def test_masked_softmax_survives_huge_scores():
    scores = jnp.array([[1e4, 1e4 - 1, 3e38], [-1e30, -1e30, 0]])
    mask = jnp.array([[True, True, False], [True, True, False]])
    weights = masked_softmax(scores, mask)
    np.testing.assert_allclose(weights, [[0.731059, 0.268941, 0], [0.5, 0.5, 0]], atol=1e-6)
