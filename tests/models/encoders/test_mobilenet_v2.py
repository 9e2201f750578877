"""Properties of the encoder: parity with torchvision, frozen layers, masks, devices."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from flax.traverse_util import flatten_dict

from components import make_encoder
from iqa_jax.models.encoders import mobilenet_v2
from iqa_jax.models.encoders.pretrained import load_pretrained

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "mobilenet_v2.npz")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def pretrained():
    return jax.tree.map(jnp.array, load_pretrained())


@pytest.fixture(scope="module")
def photo():
    pixels = skimage.data.chelsea()[:288, :416]
    return jnp.array(((pixels / 255 - MEAN) / DEVIATION).astype(np.float32)[None])


def test_features_equal_torchvision_on_a_photo(pretrained, photo):
    encode = jax.jit(lambda v, x: make_encoder().apply(v, x, method="features"))
    features = np.asarray(encode(pretrained, photo))[0]
    assert np.abs(features.mean((0, 1)) - GOLDEN["embedding"]).max() <= 1e-4
    assert np.abs(features[:3, -3:, :64] - GOLDEN["corner"]).max() <= 1e-4


def test_training_pass_equals_torchvision(pretrained, photo):
    crops = jnp.concatenate([photo[:, :128, :128], photo[:, 128:256, 256:384]])
    encode = jax.jit(lambda v, x: make_encoder().apply(v, x, train=True, mutable=["batch_stats"]))
    embeddings, moved = encode(pretrained, crops)
    assert np.abs(embeddings - GOLDEN["train_embedding"]).max() <= 1e-3
    stats = moved["batch_stats"]
    last, first_depthwise = stats["layer_51"], stats["layer_01"]
    np.testing.assert_allclose(last["mean"], GOLDEN["train_running_mean"], atol=1e-4)
    trained_var = GOLDEN["train_running_var"]
    np.testing.assert_allclose(first_depthwise["var"], trained_var, rtol=1e-4, atol=1e-7)


def test_the_pooling_layers_also_takes_every_depthwise_map(pretrained, photo):
    """Between the outputs of blocks, and in their order: the last map stays the last one."""
    crop = photo[:, :64, :64]
    outputs = make_encoder(pooling="stages").apply(pretrained, crop, method="feature_maps")
    layers = make_encoder(pooling="layers")
    maps, kept = layers.apply(
        pretrained, crop, method="feature_maps", capture_intermediates=True, mutable="intermediates"
    )
    assert len(outputs) == 18 and len(maps) == 35
    for block in range(17):
        (depthwise,) = kept["intermediates"][f"layer_{3 * block + 1:02d}"]["__call__"]
        np.testing.assert_array_equal(maps[2 * block], depthwise)
        np.testing.assert_array_equal(maps[2 * block + 1], outputs[block])
    np.testing.assert_array_equal(maps[-1], outputs[-1])
    assert layers.apply(pretrained, crop).shape == (1, 19840)


def test_the_pooling_last_has_mean_and_deviation_of_the_last_map(pretrained, photo):
    crop = photo[:, :64, :64]
    embedding = make_encoder(pooling="last").apply(pretrained, crop)
    last = np.asarray(make_encoder().apply(pretrained, crop, method="features"))
    expected = np.concatenate([last.mean((1, 2)), last.std((1, 2))], axis=-1)
    # The deviation is of a variance that is kept off 0.
    np.testing.assert_allclose(embedding, expected, atol=2e-3)
    assert np.ptp(expected[:, :1280] - expected[:, 1280:]) > 0.1


def test_layers_are_numbered_and_the_last_ones_train(pretrained):
    paths = list(flatten_dict(pretrained["params"]))
    assert {mobilenet_v2.layer_index(path) for path in paths} == set(range(52))
    trainable = {
        mobilenet_v2.layer_index(path) for path in paths if mobilenet_v2.is_trainable(path, 22)
    }
    assert trainable == set(range(30, 52))
    assert mobilenet_v2.is_trainable(("encoder", "layer_00", "scale"), None)
    assert mobilenet_v2.is_trainable(("head", "dense", "kernel"), 0)
    with pytest.raises(ValueError, match="53; MobileNetV2 has 52 convolutions"):
        mobilenet_v2.is_trainable(paths[0], 53)


@pytest.mark.parametrize(("width", "dim"), [(0.35, 1280), (1.0, 1280), (1.4, 1792)])
def test_embedding_dim(width, dim):
    encoder, images = make_encoder(width_multiplier=width), jnp.zeros((2, 64, 96, 3))
    variables = jax.eval_shape(lambda: encoder.init(jax.random.key(0), images))
    features = jax.eval_shape(lambda v: encoder.apply(v, images, method="features"), variables)
    assert features.shape == (2, 2, 3, dim)
    assert mobilenet_v2.embedding_dim(width) == dim


def test_frozen_layers_use_and_keep_their_statistics(pretrained, photo):
    crops = jnp.concatenate([photo[:, :64, :64], photo[:, 64:128, 64:128]])

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def encode(trainable_layers, train):
        encoder = make_encoder(trainable_layers=trainable_layers)
        return encoder.apply(pretrained, crops, train=train, mutable=["batch_stats"])

    evaluated, _ = encode(None, False)
    frozen, kept = encode(0, True)
    np.testing.assert_array_equal(frozen, evaluated)
    jax.tree.map(np.testing.assert_array_equal, kept["batch_stats"], pretrained["batch_stats"])

    partly, moved = encode(22, True)
    assert np.abs(partly - evaluated).max() > 0.01
    for (layer, name), value in flatten_dict(moved["batch_stats"]).items():
        is_same = np.array_equal(value, pretrained["batch_stats"][layer][name])
        assert is_same == (mobilenet_v2.layer_index((layer,)) < 30)


def test_padded_tiles_change_nothing(pretrained, photo):
    crops = jnp.concatenate([photo[:, :64, :64], photo[:, 64:128, 64:128], photo[:, 99:163, :64]])
    padded = np.insert(crops, 1, 1e4, axis=0)
    encode = jax.jit(
        lambda x, mask: make_encoder().apply(
            pretrained, x, mask, train=True, mutable=["batch_stats"]
        )
    )
    embeddings, moved = encode(crops, None)
    padded_embeddings, padded_moved = encode(padded, np.array([True, False, True, True]))
    np.testing.assert_allclose(padded_embeddings[np.array([0, 2, 3])], embeddings, atol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), moved, padded_moved
    )


def test_drop_block_acts_in_training_and_ramps_up(pretrained, photo):
    encoder = make_encoder(trainable_layers=0, drop_block_size=3, drop_block_keep=0.7)
    crop = photo[:, :128, :128]

    @jax.jit
    def encode(progress):
        rngs = {"dropout": jax.random.key(0)}
        return encoder.apply(pretrained, crop, train=True, drop_progress=progress, rngs=rngs)

    evaluated = jax.jit(lambda: encoder.apply(pretrained, crop))()
    np.testing.assert_allclose(encode(0.0), evaluated, atol=1e-5)
    assert np.abs(encode(1.0) - evaluated).max() > 0.01
