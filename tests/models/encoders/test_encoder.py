"""What holds for every encoder: how its maps become the embedding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from components import make_encoder
from iqa_jax.models.encoders.encoder import pool_last_again
from iqa_jax.models.encoders.shallow_cnn import CHANNELS
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION

# The pooling that its recipe has.
STAGES = make_encoder("shallow_cnn", pooling="stages")


@pytest.fixture(scope="module")
def photo():
    """Four normalised 64x64 crops of a photo."""
    image = skimage.data.chelsea()[:128, :128] / 255
    crops = image.reshape(2, 64, 2, 64, 3).swapaxes(1, 2).reshape(4, 64, 64, 3)
    return jnp.array((crops - MEAN) / np.array(STANDARD_DEVIATION), jnp.float32)


@pytest.fixture(scope="module")
def variables(photo):
    return jax.jit(STAGES.init)(jax.random.key(0), photo)


def test_the_last_map_is_what_the_embedding_was_pooled_from(photo, variables):
    embedding, last = STAGES.apply(variables, photo, method="encode_with_map")
    again = pool_last_again(embedding, last, "stages")
    np.testing.assert_allclose(again, embedding, atol=1e-6)
    changed = pool_last_again(embedding, 2 * last, "stages")
    assert (np.abs(changed - embedding).max(axis=0) > 1e-6).sum() > CHANNELS[1]
