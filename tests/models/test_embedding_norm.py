"""One scale for all dimensions of embeddings, from real tiles alone."""

import jax
import jax.numpy as jnp
import numpy as np

from iqa_jax.models.embedding_norm import EmbeddingNorm

SCALE = np.array([1e-2, 1.0, 1e3])


def make(batch=8, tiles=4):
    rng = np.random.default_rng(0)
    mask = rng.random((batch, tiles)) < 0.7
    return (rng.normal(2.0, 1.0, (batch, tiles, 3)) * SCALE).astype(np.float32), mask


def apply(embeddings, mask, train=True, stats=None, **attributes):
    norm = EmbeddingNorm(**attributes)
    embeddings, mask = jnp.asarray(embeddings), jnp.asarray(mask)
    stats = stats or norm.init(jax.random.key(0), embeddings, mask, False)
    return norm.apply(stats, embeddings, mask, train, mutable=["batch_stats"])


def test_every_dimension_of_real_tiles_is_standardised():
    embeddings, mask = make()
    normed, moved = apply(embeddings, mask)
    np.testing.assert_allclose(normed[mask].mean(axis=0), 0, atol=1e-4)
    # The smallest dimension's variance, 1e-4, is not far above BatchNorm's epsilon of 1e-5.
    np.testing.assert_allclose(normed[mask].std(axis=0)[1:], 1, atol=1e-3)
    assert 0.9 < normed[mask].std(axis=0)[0] < 1
    mean = moved["batch_stats"]["mean"]
    np.testing.assert_allclose(mean, 0.1 * embeddings[mask].mean(axis=0), rtol=1e-5)


def test_masked_tiles_change_nothing():
    embeddings, mask = make()
    other = np.where(mask[..., None], embeddings, 7e3).astype(np.float32)
    (ours, moved), (theirs, also_moved) = apply(embeddings, mask), apply(other, mask)
    np.testing.assert_array_equal(ours[mask], theirs[mask])
    jax.tree.map(np.testing.assert_array_equal, moved, also_moved)


def test_a_batch_of_padding_alone_moves_nothing():
    embeddings, mask = make()
    normed, moved = apply(embeddings, np.zeros_like(mask))
    np.testing.assert_array_equal(moved["batch_stats"]["mean"], 0)
    np.testing.assert_array_equal(moved["batch_stats"]["var"], 1)
    assert np.isfinite(normed).all()


def test_at_evaluation_a_tile_does_not_depend_on_its_batch():
    embeddings, mask = make()
    _, stats = apply(embeddings, mask)
    whole, still = apply(embeddings, mask, train=False, stats=stats)
    jax.tree.map(np.testing.assert_array_equal, still, stats)
    for row in range(len(embeddings)):
        alone, _ = apply(embeddings[row : row + 1], mask[row : row + 1], False, stats)
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-6)


def test_devices_share_the_statistics():
    embeddings, mask = make()
    whole, moved = apply(embeddings, mask)
    halves = (embeddings.reshape(2, 4, 4, 3), mask.reshape(2, 4, 4))
    given = jnp.asarray(embeddings), jnp.asarray(mask)
    stats = EmbeddingNorm().init(jax.random.key(0), *given, False)

    def run(embeddings, mask):
        return apply(embeddings, mask, stats=stats, axis_name="data")

    shared, also_moved = jax.vmap(run, axis_name="data")(*map(jnp.asarray, halves))
    np.testing.assert_allclose(shared.reshape(whole.shape), whole, rtol=1e-4, atol=1e-5)
    for name, value in moved["batch_stats"].items():
        for half in also_moved["batch_stats"][name]:
            np.testing.assert_allclose(half, value, rtol=1e-5)
