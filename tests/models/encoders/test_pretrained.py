"""Weights come complete or with a sentence that says what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from components import make_encoder
from iqa_jax.models.encoders import pretrained


def test_tree_is_the_encoders_own():
    images = jnp.zeros((1, 32, 32, 3))
    expected = jax.eval_shape(lambda: make_encoder().init(jax.random.key(0), images))
    loaded = pretrained.load_pretrained(1.0)
    assert jax.tree.structure(loaded) == jax.tree.structure(expected)
    for leaf, wanted in zip(jax.tree.leaves(loaded), jax.tree.leaves(expected), strict=True):
        assert isinstance(leaf, np.ndarray)
        assert (leaf.shape, leaf.dtype) == (wanted.shape, wanted.dtype)


def test_conversion_inverts_torchvisions_layout():
    names = pretrained.torchvision_prefixes()
    assert len(set(names)) == 52
    assert names[1] == ("features.1.conv.0.0", "features.1.conv.0.1")
    assert names[4] == ("features.2.conv.1.0", "features.2.conv.1.1")
    assert names[-2:] == [
        ("features.17.conv.2", "features.17.conv.3"),
        ("features.18.0", "features.18.1"),
    ]
    state = {}
    for index, (convolution, norm) in enumerate(names):
        state[f"{convolution}.weight"] = np.arange(24.0).reshape(4, 3, 2, 1) + index
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{leaf}"] = np.full(4, index)
    kernel = pretrained.convert(state)["params"]["layer_07"]["kernel"]
    assert kernel.shape == (2, 1, 3, 4)
    assert kernel[1, 0, 2, 3] == state[f"{names[7][0]}.weight"][3, 2, 1, 0]


def test_unknown_width_names_the_known_one():
    with pytest.raises(ValueError, match=r"width_multiplier 0\.5, only for 1\.0"):
        pretrained.load_pretrained(0.5)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: content[:-1], "damaged"),
        (lambda content: content[:5000] + b"\x00" + content[5001:], "damaged"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_a_file_that_is_not_the_right_one_is_refused(tmp_path, damage, sentence):
    name, _ = pretrained.WEIGHTS[1.0]
    content = (pretrained.WEIGHTS_FOLDER / name).read_bytes()
    (tmp_path / name).write_bytes(damage(content))
    with pytest.raises(ValueError, match=sentence):
        pretrained.load_pretrained(1.0, tmp_path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="mobilenet_v2_imagenet.safetensors are missing"):
        pretrained.load_pretrained(1.0, tmp_path)
