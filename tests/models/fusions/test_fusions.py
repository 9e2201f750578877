"""Invariants of every fusion, and small twins of the proofs of what each is for."""

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import fusion_proofs
from benchmarks.fusion_proofs import make_fusion
from iqa_jax.models.fusions import FUSIONS, READOUTS
from iqa_jax.models.positions import POSITIONS

SMALL = {
    "attention_dim": 8,
    "position_dim": 8,
    "position_cells": 4,
    "width": 16,
    "heads": 2,
    "mlp_dim": 16,
}
DIM, ROWS, COLUMNS = 12, 3, 4


def small(name, **keys):
    """A fusion of test size."""
    keys = SMALL | keys
    fields = {field.name for field in dataclasses.fields(FUSIONS[name])}
    return make_fusion(name, **{key: value for key, value in keys.items() if key in fields})


# Fusions that see where tiles lie have a key `positions`; the others must not.
SEES_PLACES = {
    name: any(field.name == "positions" for field in dataclasses.fields(module))
    for name, module in FUSIONS.items()
}
POOLS = ("mean_embedding", "max_embedding", "attention", "gated_attention")
ORDER_FREE = {name: small(name) for name in FUSIONS if not SEES_PLACES[name]} | {
    f"tile_vit none {readout}": small("tile_vit", positions="none", readout=readout)
    for readout in READOUTS
}
POSITIONAL = {
    f"{name} {positions}": small(name, positions=positions, depth=1)
    for name in FUSIONS
    if SEES_PLACES[name]
    for positions in POSITIONS
    if positions != "none"
}
ALL = ORDER_FREE | POSITIONAL
every_fusion = pytest.mark.parametrize("fusion", ALL.values(), ids=ALL)


def bags(batch=2, rows=ROWS, columns=COLUMNS, seed=0):
    """Full bags in reading order: what a fusion takes."""
    tiles = rows * columns
    position = np.stack(np.indices((rows, columns)), axis=-1).reshape(-1, 2)
    return (
        jax.random.normal(jax.random.key(seed), (batch, tiles, DIM)),
        jnp.ones((batch, tiles), bool),
        jnp.tile(jnp.asarray(position, jnp.int32), (batch, 1, 1)),
        jnp.tile(jnp.array([[rows, columns]], jnp.int32), (batch, 1)),
    )


@cache
def start(fusion):
    """Parameters with tables and biases so large that positions matter."""
    variables = jax.jit(fusion.init)(jax.random.key(1), *bags())
    return jax.tree.map(
        lambda leaf: leaf + 0.1 * np.cos(np.arange(leaf.size)).reshape(leaf.shape), variables
    )


@partial(jax.jit, static_argnums=0)
def run(fusion, variables, *inputs):
    """The bags fused, and a loss's gradients to the parameters and to the tiles.

    The loss is one that no symmetry of the embedding can hide.
    """

    def loss(variables, embeddings):
        fused = fusion.apply(variables, embeddings, *inputs[1:])
        dims = jnp.arange(1.0, fused.embedding.shape[-1] + 1)
        return (jnp.sin(fused.embedding) * dims).sum(), fused

    gradients, fused = jax.grad(loss, argnums=(0, 1), has_aux=True)(variables, inputs[0])
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (fused, *gradients))


def test_every_fusion_is_tested():
    assert {name.split()[0] for name in ALL} == set(FUSIONS)


@every_fusion
def test_attention_is_normalised(fusion):
    embeddings, mask, position, grid = bags()
    mask = mask.at[0, 5:].set(False)
    fused, *_ = run(fusion, start(fusion), embeddings, mask, position, grid)
    attention = np.asarray(fused.attention)
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)
    assert attention.min() >= 0 and (attention[~np.asarray(mask)] == 0).all()


@pytest.mark.parametrize("fusion", ORDER_FREE.values(), ids=ORDER_FREE)
def test_order_free_fusions_ignore_the_order(fusion):
    embeddings, mask, position, grid = bags()
    mask = mask.at[0, 9:].set(False)
    order = np.random.default_rng(0).permutation(mask.shape[1])
    before, *_ = run(fusion, start(fusion), embeddings, mask, position, grid)
    after, *_ = run(fusion, start(fusion), embeddings[:, order], mask[:, order], position, grid)
    np.testing.assert_allclose(after.embedding, before.embedding, atol=1e-5)
    np.testing.assert_allclose(after.attention, before.attention[:, order], atol=1e-5)


@pytest.mark.parametrize("fusion", POSITIONAL.values(), ids=POSITIONAL)
def test_positional_fusions_see_places_and_not_storage_order(fusion):
    embeddings, mask, position, grid = bags()
    order = np.random.default_rng(0).permutation(mask.shape[1])
    before, *_ = run(fusion, start(fusion), embeddings, mask, position, grid)
    stored, *_ = run(fusion, start(fusion), embeddings[:, order], mask, position[:, order], grid)
    np.testing.assert_allclose(stored.embedding, before.embedding, atol=1e-4)
    moved, *_ = run(fusion, start(fusion), embeddings[:, order], mask, position, grid)
    assert np.abs(moved.embedding - before.embedding).max() > 1e-3


@every_fusion
def test_padding_changes_nothing(fusion):
    embeddings, mask, position, grid = bags()
    padded = (
        jnp.concatenate([embeddings, jnp.full((2, 5, DIM), 100.0)], axis=1),
        jnp.pad(mask, ((0, 0), (0, 5))),
        jnp.pad(position, ((0, 0), (0, 5), (0, 0))),
        grid,
    )
    plain, plain_params, plain_tiles = run(fusion, start(fusion), embeddings, mask, position, grid)
    long, long_params, long_tiles = run(fusion, start(fusion), *padded)
    np.testing.assert_allclose(long.embedding, plain.embedding, atol=1e-5)
    np.testing.assert_allclose(long.attention[:, :-5], plain.attention, atol=1e-5)
    close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-3)
    jax.tree.map(close, long_params, plain_params)
    close(long_tiles[:, :-5], plain_tiles)
    assert (np.asarray(long_tiles[:, -5:]) == 0).all()
    assert np.abs(plain_tiles).max() > 0.01


@every_fusion
def test_an_empty_bag_is_zero_with_no_gradient_and_leaves_its_neighbour_alone(fusion):
    embeddings, mask, position, grid = bags()
    full, *_ = run(fusion, start(fusion), embeddings, mask, position, grid)
    mask = mask.at[0].set(False)
    # A bag that lost all tiles may have no grid either.
    grid = grid.at[0].set(0)
    fused, params, tiles = run(fusion, start(fusion), embeddings, mask, position, grid)
    assert (np.asarray(fused.embedding[0]) == 0).all()
    assert (np.asarray(fused.attention[0]) == 0).all()
    np.testing.assert_allclose(fused.embedding[1], full.embedding[1], atol=1e-5)
    assert (np.asarray(tiles[0]) == 0).all() and np.isfinite(tiles).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    _, params, _ = run(fusion, start(fusion), embeddings, mask & False, position, grid)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(params))


@every_fusion
def test_one_tile_has_all_the_attention(fusion):
    embeddings, mask, position, grid = bags()
    mask = mask.at[:, 1:].set(False)
    fused, *gradients = run(fusion, start(fusion), embeddings, mask, position, grid)
    np.testing.assert_allclose(fused.attention[:, 0], 1, atol=1e-6)
    assert np.isfinite(fused.embedding).all() and np.abs(fused.embedding).max() > 0.01
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", POOLS)
def test_one_tile_is_fused_to_itself(name):
    inputs = bags(rows=1, columns=1)
    fused = small(name).apply(start(small(name)), *inputs)
    np.testing.assert_allclose(fused.embedding, inputs[0][:, 0], atol=1e-6)


@every_fusion
def test_more_tiles_than_trained_on(fusion):
    fused = jax.jit(fusion.apply)(start(fusion), *bags(batch=1, rows=17, columns=23))
    assert np.isfinite(fused.embedding).all()
    np.testing.assert_allclose(fused.attention.sum(), 1, atol=1e-4)


@pytest.mark.parametrize("name", ["attention", "gated_attention", "tile_vit"])
def test_bfloat16_keeps_attention_normalised_over_many_tiles(name):
    fusion = small(name, dtype=jnp.bfloat16, depth=1)
    embeddings, *rest = bags(batch=1, rows=24, columns=25)
    apply = jax.jit(fusion.apply)
    attention = apply(start(fusion), embeddings.astype(jnp.bfloat16), *rest).attention
    assert attention.dtype == jnp.float32
    np.testing.assert_allclose(attention.sum(), 1, atol=1e-4)


def test_attention_by_hand():
    embeddings, mask, position, grid = bags(batch=1)
    for name in ("attention", "gated_attention"):
        variables = start(small(name))
        layers = jax.tree.map(np.asarray, variables["params"])

        def dense(layer, x, layers=layers):
            return x @ layers[layer]["kernel"] + layers[layer]["bias"]

        h = np.asarray(embeddings[0])
        hidden = np.tanh(dense("V", h))
        if name == "gated_attention":
            hidden = hidden / (1 + np.exp(-dense("U", h)))
        scores = dense("w", hidden)[:, 0]
        expected = np.exp(scores) / np.exp(scores).sum()
        fused = small(name).apply(variables, embeddings, mask, position, grid)
        np.testing.assert_allclose(fused.attention[0], expected, atol=1e-6)
        np.testing.assert_allclose(fused.embedding[0], expected @ h, atol=1e-5)


def test_attention_starts_within_the_reference_range():
    params = make_fusion("gated_attention").init(jax.random.key(0), *bags())["params"]
    for name, inputs in (("V", DIM), ("U", DIM), ("w", 128)):
        for leaf in params[name].values():
            assert np.abs(leaf).max() <= inputs**-0.5
        assert np.abs(params[name]["kernel"]).max() > 0.9 * inputs**-0.5


def test_a_class_token_that_sees_only_itself_still_ranks_tiles():
    fusion = small("tile_vit", depth=1, positions="none")
    variables = jax.tree.map(jnp.asarray, start(fusion))
    attend = variables["params"]["layer_0"]["SelfAttention_0"]
    # Scores of thousands: every softmax weight but one underflows.
    attend["query"]["kernel"] = attend["query"]["kernel"] * 1e3
    attend["key"]["kernel"] = attend["key"]["kernel"] * 1e3
    attention = run(fusion, variables, *bags())[0].attention
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)


def test_dropout_is_on_in_training_alone():
    fusion = small("tile_vit", dropout=0.5)
    apply = jax.jit(fusion.apply, static_argnums=5)
    still, again = (apply(start(fusion), *bags(), False).embedding for _ in range(2))
    np.testing.assert_array_equal(still, again)
    shaken, other = (
        apply(start(fusion), *bags(), True, rngs={"dropout": jax.random.key(seed)}).embedding
        for seed in (0, 1)
    )
    assert min(np.abs(shaken - still).max(), np.abs(shaken - other).max()) > 0.01


def test_attention_finds_the_planted_tile_where_the_mean_loses_it():
    fusions = ("mean_embedding", "gated_attention")
    row = fusion_proofs.planted_signal(fusions, (64,), steps=200)["64 tiles"]
    assert row["gated_attention"]["attention_auc"] >= 0.95
    assert row["gated_attention"]["auc"] >= 0.95
    # Above the best of the mean only by the chance of 2000 test bags.
    assert 0.6 < row["mean_embedding"]["auc"] <= row["best_of_the_mean"] + 0.03


def test_poison_fools_every_fusion_that_can_see_it():
    fusions = {name: make_fusion(name) for name in ("mean_embedding", "max_embedding")}
    found = fusion_proofs.poison(fusions, steps=200)
    assert found["max_embedding"]["low"]["passes"]
    assert not found["max_embedding"]["high"]["passes"]
    assert not found["mean_embedding"]["low"]["passes"]


def test_positions_see_adjacency_and_stay_under_the_optimum():
    fusions = {
        "order_free": make_fusion("gated_attention"),
        "sincos_2d": fusion_proofs.tile_vit(positions="sincos_2d", depth=1),
    }
    found = fusion_proofs.adjacency(fusions, fusion_proofs.SQUARE, steps=700)
    assert abs(found["order_free"] - 0.5) < 0.06
    assert found["order_free"] + 0.2 < found["sincos_2d"] <= found["bayes_optimum"]
