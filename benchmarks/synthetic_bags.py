"""Bags of drawn embeddings whose truth is known: which tiles decide, and how well one can do."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

DIM = 8


class Bags(NamedTuple):
    """A batch of bags without padding.

    Attributes:
        embeddings, tile_mask, tile_position, grid_shape: what a fusion takes.
        label: the answer.
        is_key: tiles that decide it.
    """

    embeddings: Float[Array, "batch tile dim"]
    tile_mask: Bool[Array, "batch tile"]
    tile_position: Int[Array, "batch tile 2"]
    grid_shape: Int[Array, "batch 2"]
    label: Bool[Array, " batch"]
    is_key: Bool[Array, "batch tile"]


def _bags(embeddings: Array, grids: Array, label: Array, is_key: Array) -> Bags:
    batch, tiles, _ = embeddings.shape
    index = jnp.broadcast_to(jnp.arange(tiles), (batch, tiles))
    position = jnp.stack([index // grids[:, 1:], index % grids[:, 1:]], axis=-1)
    return Bags(embeddings, jnp.ones((batch, tiles), bool), position, grids, label, is_key)


def planted_bags(key: Key[Array, ""], batch: int, *, tiles: int, shift: float) -> Bags:
    """Draws bags of N(0, I) tiles; in every good one a single tile is moved along one axis.

    Args:
        key: of this draw.
        batch, tiles: how many.
        shift: of the planted tile.
    """
    label_key, place_key, noise_key = jax.random.split(key, 3)
    label = jax.random.bernoulli(label_key, shape=(batch,))
    place = jax.random.randint(place_key, (batch, 1), 0, tiles)
    is_key = (jnp.arange(tiles) == place) & label[:, None]
    noise = jax.random.normal(noise_key, (batch, tiles, DIM))
    embeddings = noise.at[..., 0].add(shift * is_key.astype(noise.dtype))
    return _bags(embeddings, jnp.tile(jnp.array([[1, tiles]]), (batch, 1)), label, is_key)


def planted_mean_auc(tiles: int, shift: float) -> float:
    """Gives the best AUC that the mean of a planted bag's embeddings allows.

    The mean moves by shift / tiles against a deviation of 1 / √tiles.
    """
    return float(jax.scipy.stats.norm.cdf(shift / np.sqrt(2 * tiles)))


def poison_bags(
    key: Key[Array, ""], batch: int, *, tiles: int, is_test: bool, poison: float
) -> Bags:
    """Draws the bags that tell whether a model only ever counts evidence for a good bag.

    Tiles are N(0, I); a good bag holds one N(0, 3² I) and one N(1, I). One tile of every bad bag
    in training, and of every good bag in the test, is poison: N(poison, 0.1).

    Args:
        key: of this draw.
        batch, tiles: how many.
        is_test: where the poison sits.
        poison: -10 in the source.

    Source:
        Raff and Holt 2023, "Reproducibility in multiple instance learning".
    """
    label_key, place_key, noise_key = jax.random.split(key, 3)
    label = jax.random.bernoulli(label_key, shape=(batch,))
    noise = jax.random.normal(noise_key, (batch, tiles, DIM))
    rank = jnp.argsort(jax.random.uniform(place_key, (batch, tiles)))[..., None]
    good = label[:, None, None]
    embeddings = jnp.where((rank == 0) & good, 3 * noise, noise)
    embeddings = jnp.where((rank == 1) & good, 1 + noise, embeddings)
    is_poison = (rank == 2) & (good if is_test else ~good)
    embeddings = jnp.where(is_poison, poison + np.sqrt(0.1) * noise, embeddings)
    grids = jnp.tile(jnp.array([[1, tiles]]), (batch, 1))
    return _bags(embeddings, grids, label, (rank[..., 0] < 2) & label[:, None])


def _blocks(grid: tuple[int, int]) -> Bool[np.ndarray, "block tile"]:
    """Marks the tiles of every 2 x 2 block of a grid; blank rows fill up to one per tile."""
    tiles = grid[0] * grid[1]
    place = np.stack(np.unravel_index(np.arange(tiles), grid), axis=-1)
    step = place[None] - place[:, None]
    members = ((step >= 0) & (step <= 1)).all(axis=-1)
    return members & (members.sum(axis=1, keepdims=True) == 4)


def adjacency_bags(
    key: Key[Array, ""], batch: int, *, grids: tuple[tuple[int, int], ...], shift: float
) -> Bags:
    """Draws bags of N(0, I) tiles of which four are moved: a 2 x 2 block in good bags, else any.

    Whatever ignores where tiles are sees the same in both, and can only guess.

    Args:
        key: of this draw.
        batch: how many.
        grids: shapes of as many tiles each; a bag has one at random.
        shift: of the four tiles.

    Source:
        The question is Harvey et al. 2025's, where good bags have adjacent moved tiles and bad ones
        have none; with four in both, counting them does not help.
    """
    label_key, grid_key, block_key, noise_key = jax.random.split(key, 4)
    blocks = jnp.stack([_blocks(grid) for grid in grids])
    tiles = blocks.shape[-1]
    label = jax.random.bernoulli(label_key, shape=(batch,))
    grid = jax.random.randint(grid_key, (batch,), 0, len(grids))
    draw_key, scatter_key = jax.random.split(block_key)
    is_block = blocks.any(axis=-1)[grid]
    block = jax.random.categorical(draw_key, jnp.where(is_block, 0.0, -jnp.inf))
    rank = jnp.argsort(jax.random.uniform(scatter_key, (batch, tiles)))
    is_key = jnp.where(label[:, None], blocks[grid, block], rank < 4)
    noise = jax.random.normal(noise_key, (batch, tiles, DIM))
    embeddings = noise.at[..., 0].add(shift * is_key.astype(noise.dtype))
    return _bags(embeddings, jnp.array(grids)[grid], label, is_key)


def adjacency_optimum(
    bags: Bags, *, grids: tuple[tuple[int, int], ...], shift: float
) -> Float[np.ndarray, " batch"]:
    """Gives the log-likelihood ratio of adjacency bags: no score separates them better.

    Four moved tiles have likelihood proportional to the product of their w = exp(shift x -
    shift² / 2). A good bag averages it over the blocks, a bad one over all sets of four: the
    elementary symmetric polynomial of w.
    """
    weight = np.exp(shift * np.asarray(bags.embeddings[..., 0], np.float64) - shift**2 / 2)
    shape = np.asarray(bags.grid_shape)
    good = np.zeros(len(weight))
    for grid in grids:
        rows = (shape == grid).all(axis=1)
        blocks = _blocks(grid)
        blocks = blocks[blocks.any(axis=1)]
        good[rows] = np.mean([weight[rows][:, block].prod(axis=1) for block in blocks], axis=0)
    symmetric = np.zeros((5, len(weight)))
    symmetric[0] = 1
    for tile in weight.T:
        symmetric[1:] += tile * symmetric[:-1]
    return np.log(good * math.comb(weight.shape[1], 4) / symmetric[4])
