"""Properties of the encoder: parity with torchvision, frozen layers, masks, devices."""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from flax.traverse_util import flatten_dict

from iqa_jax.models import mobilenet_v2
from iqa_jax.models.mobilenet_v2 import MobileNetV2
from iqa_jax.models.pretrained import load_pretrained

GOLDEN = np.load(Path(__file__).parent / "golden" / "mobilenet_v2.npz")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def pretrained():
    return load_pretrained()


@pytest.fixture(scope="module")
def photo():
    pixels = skimage.data.chelsea()[:288, :416]
    return ((pixels / 255 - MEAN) / DEVIATION).astype(np.float32)[None]


def test_features_equal_torchvision_on_a_photo(pretrained, photo):
    encode = jax.jit(lambda v, x: MobileNetV2().apply(v, x, method="features"))
    features = np.asarray(encode(pretrained, photo))[0]
    assert np.abs(features.mean((0, 1)) - GOLDEN["embedding"]).max() <= 1e-4
    assert np.abs(features[:3, -3:, :64] - GOLDEN["corner"]).max() <= 1e-4


def test_training_pass_equals_torchvision(pretrained, photo):
    crops = np.concatenate([photo[:, :128, :128], photo[:, 128:256, 256:384]])
    encode = jax.jit(lambda v, x: MobileNetV2().apply(v, x, train=True, mutable=["batch_stats"]))
    embeddings, moved = encode(pretrained, crops)
    assert np.abs(embeddings - GOLDEN["train_embedding"]).max() <= 1e-3
    stats = moved["batch_stats"]
    last, first_depthwise = stats["layer_51"], stats["layer_01"]
    np.testing.assert_allclose(last["mean"], GOLDEN["train_running_mean"], atol=1e-4)
    np.testing.assert_allclose(first_depthwise["var"], GOLDEN["train_running_var"], rtol=1e-4, atol=1e-7)
