"""The whole network: normalised tiles in, and every tile answered as a bag of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION
from shallow import make_batch, make_model, make_variables


@pytest.fixture(scope="module")
def variables():
    variables = make_variables()
    # A head whose outputs differ from the first.
    kernel = variables["params"]["head"]["output"]["kernel"]
    filled = jnp.array(np.random.default_rng(0).normal(size=kernel.shape), jnp.float32)
    head = {**variables["params"]["head"], "output": {**variables["params"]["head"]["output"]}}
    head["output"]["kernel"] = filled
    return {**variables, "params": {**variables["params"], "head": head}}


@pytest.fixture(scope="module")
def bags():
    batch = {name: jnp.asarray(value) for name, value in make_batch(2, tiles=3).items()}
    batch["tiles"] = batch["tiles"].astype(jnp.float32) / 255
    batch["tile_mask"] = batch["tile_mask"].at[1, 2].set(False)
    return batch


def test_tiles_are_normalised_before_they_are_encoded(variables, bags):
    model, tiles = make_model(), bags["tiles"][0]
    normalised = (tiles - jnp.array(MEAN)) / jnp.array(STANDARD_DEVIATION)
    expected = model.encoder.apply(
        {name: part["encoder"] for name, part in variables.items()}, normalised
    )
    found = model.apply(variables, tiles, method="encode")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_bag_is_answered_from_its_embeddings_as_from_its_tiles(variables, bags):
    model = make_model()
    answer = jax.jit(model.apply)
    whole = answer(variables, bags)
    tiles = bags["tiles"]
    flat = model.apply(variables, tiles.reshape(-1, *tiles.shape[2:]), method="encode")
    known = {name: value for name, value in bags.items() if name != "tiles"}
    known["embeddings"] = flat.reshape(2, 3, -1)
    again = answer(variables, known)
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_tile_is_answered_as_the_one_tile_of_a_bag(variables, bags):
    apply = jax.jit(make_model().apply)
    whole = apply(variables, bags)
    for tile in range(3):
        part = {name: bags[name][:, tile : tile + 1] for name in
                ("tiles", "tile_mask", "tile_position", "features")}  # fmt: skip
        alone = apply(variables, bags | part | {"tile_mask": jnp.ones((2, 1), bool)})
        np.testing.assert_allclose(alone.logits, whole.tile_logits[:, tile], rtol=1e-4, atol=1e-5)
    assert np.ptp(whole.tile_logits[0, :, 1]) > 1e-3
    model = make_model()
    assert model.apply(variables, bags, with_tiles=False).tile_logits is None
