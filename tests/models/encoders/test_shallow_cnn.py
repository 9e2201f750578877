"""The shallow encoder: contrast as BRISQUE's, the contract of MobileNetV2, refused keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from components import make_encoder
from input_pipeline.tiles import nss
from iqa_jax.models.encoders.shallow_cnn import CHANNELS, normalise_contrast
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION
from iqa_jax.run.checks import ConfigError, check_config

# The pooling that its recipe has.
STAGES = make_encoder("shallow_cnn", pooling="stages")


@pytest.fixture(scope="module")
def photo():
    """Four normalised 64x64 crops of a photo."""
    image = skimage.data.chelsea()[:128, :128] / 255
    crops = image.reshape(2, 64, 2, 64, 3).swapaxes(1, 2).reshape(4, 64, 64, 3)
    return jnp.array((crops - MEAN) / np.array(STANDARD_DEVIATION), jnp.float32)


def test_contrast_is_that_of_the_scene_statistics(photo):
    rgb = (np.array(photo, np.float64) * STANDARD_DEVIATION + MEAN) * 255
    luma = rgb @ (0.299, 0.587, 0.114)
    expected = [nss.normalise_contrast(one) for one in luma]
    np.testing.assert_allclose(normalise_contrast(photo)[..., 0], expected, atol=2e-3)


def test_a_flat_tile_has_a_finite_gradient():
    flat = jnp.zeros((1, 32, 32, 3))
    gradient = jax.grad(lambda x: (normalise_contrast(x) ** 2).sum())(flat)
    assert np.isfinite(gradient).all()


@pytest.fixture(scope="module")
def variables(photo):
    return jax.jit(STAGES.init)(jax.random.key(0), photo)


def test_brightness_is_not_seen_and_contrast_is(photo, variables):
    encode = jax.jit(STAGES.apply)
    plain, brighter = encode(variables, photo), encode(variables, photo + 0.3)
    assert plain.shape == (4, 2 * sum(CHANNELS))
    # The shift is the same luma everywhere.
    np.testing.assert_allclose(brighter, plain, atol=1e-3)
    faint = encode(variables, 0.02 * photo)
    assert np.abs(faint - plain).max() > 0.2 * np.abs(plain).max()


def test_padding_has_no_part_in_the_statistics(photo, variables):
    def train(images, mask):
        return STAGES.apply(variables, images, jnp.array(mask), train=True, mutable=["batch_stats"])

    plain, state = train(photo[:2], [True, True])
    padded, state_padded = train(photo, [True, True, False, False])
    np.testing.assert_allclose(padded[:2], plain, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state, state_padded)
    frozen = make_encoder("shallow_cnn", pooling="stages", norm_statistics="running")
    _, kept = frozen.apply(variables, photo, train=True, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, kept["batch_stats"], variables["batch_stats"])


def test_keys_that_it_has_no_use_for_are_refused(tiny_config):
    model = tiny_config.model
    model.encoder, model.weights = "shallow_cnn", "imagenet"
    model.trainable_layers = 22
    tiny_config.encoder.mobilenet_v2.drop_block_size = 3
    with pytest.raises(ConfigError) as refused:
        check_config(tiny_config)
    problems = "\n".join(refused.value.problems)
    for part in ("no shallow_cnn has learnt", "all of shallow_cnn trains", "has no DropBlock"):
        assert part in problems
    model.encoder = "shallowcnn"
    with pytest.raises(ConfigError, match='did you mean "shallow_cnn"'):
        check_config(tiny_config)
