"""A compiled network encodes as many chunks as are filled, each as it would be alone."""

import jax.numpy as jnp
import numpy as np

from iqa_jax.scoring.networks import Network
from shallow import make_model, make_variables
from small_tasks import make_task


def test_chunks_that_are_filled_are_encoded_and_no_others():
    network, variables = (
        Network(make_model(), make_task("binary", "cross_entropy")),
        make_variables(),
    )
    parts = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3), np.uint8)
    found = network.encode(variables, parts, jnp.int32(2))
    for number in range(2):
        tiles = jnp.asarray(parts[number], jnp.float32) / 255
        alone = make_model().apply(variables, tiles, method="encode")
        np.testing.assert_allclose(found[number], alone, rtol=1e-4, atol=1e-5)
    assert found.shape == (3, 4, 8) and not found[2].any()
    assert not np.allclose(found[0], found[1]) and network.sample is None
