"""What tests call is checked: a wrong shape or dtype raises in every room with annotations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from input_pipeline.tiles.tiling import within_band
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.learning.losses import l1
from iqa_jax.models.layers.drop_block import drop_block


@pytest.mark.parametrize(
    "call",
    [
        lambda: drop_block(jnp.zeros((8, 8, 3)), jax.random.key(0), 0.9, 2),
        lambda: l1(jnp.zeros(3), jnp.zeros(2)),
        lambda: l1(jnp.zeros(3, int), jnp.zeros(3)),
        lambda: score_metrics(np.zeros(3), np.zeros(2)),
        lambda: within_band(np.zeros((2, 2), int), 0, 1),
    ],
    ids=["models", "learning", "dtype", "analysis", "input_pipeline"],
)
def test_a_wrong_shape_raises(call):
    with pytest.raises(TypeCheckError):
        call()
