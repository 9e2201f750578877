"""Folding BatchNorm changes the variables and nothing that they say."""

import jax
import numpy as np
import skimage.data
from flax.traverse_util import flatten_dict

from components import make_encoder
from iqa_jax.models.encoders.mobilenet_v2 import LAYER_COUNT
from iqa_jax.models.encoders.pretrained import load_pretrained
from iqa_jax.models.fold import fold_batch_norm


def test_embeddings_of_imagenet_weights_stay():
    variables = load_pretrained()
    folded = fold_batch_norm(variables)
    assert {path[-1] for path in flatten_dict(folded["params"])} == {"kernel", "bias"}
    assert len(folded["params"]) == LAYER_COUNT and folded["batch_stats"] == {}
    photo = skimage.data.chelsea()[:64, :128].astype(np.float32)
    images = (photo.reshape(64, 2, 64, 3).swapaxes(0, 1) / 255 - 0.45) / 0.23
    encode = jax.jit(make_encoder().apply)
    plain, ours = (np.asarray(encode(tree, images)) for tree in (variables, folded))
    assert plain.std() > 0.1 and np.abs(ours - plain).max() <= 1e-4


def test_only_convolutions_are_folded_and_only_once():
    rng = np.random.default_rng(0)
    layer = {"kernel": rng.normal(size=(1, 1, 2, 3)), "scale": rng.normal(size=3)}
    layer["bias"] = rng.normal(size=3)
    statistics = {"mean": rng.normal(size=3), "var": rng.uniform(1, 2, 3)}
    variables = {
        "params": {
            "encoder": {"layer_00": layer},
            "fusion": {"norm": {"scale": rng.normal(size=4), "bias": rng.normal(size=4)}},
        },
        "batch_stats": {
            "encoder": {"layer_00": statistics},
            "embedding_norm": {"mean": np.ones(4), "var": np.ones(4)},
        },
    }
    before = flatten_dict(variables)
    folded = fold_batch_norm(variables)
    assert flatten_dict(variables).keys() == before.keys()
    assert folded["params"]["fusion"] == variables["params"]["fusion"]
    assert folded["batch_stats"] == {"embedding_norm": variables["batch_stats"]["embedding_norm"]}
    x = rng.normal(size=2)
    y = x @ layer["kernel"][0, 0]
    y = (y - statistics["mean"]) / np.sqrt(statistics["var"] + 1e-5) * layer["scale"]
    ours = folded["params"]["encoder"]["layer_00"]
    np.testing.assert_allclose(
        x @ ours["kernel"][0, 0] + ours["bias"], y + layer["bias"], atol=1e-6
    )
    again = fold_batch_norm(folded)
    for path, leaf in flatten_dict(folded).items():
        np.testing.assert_array_equal(flatten_dict(again)[path], leaf)
