"""DropBlock: dropout of whole squares of a feature map."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def drop_block(
    features: Float[Array, "batch height width channel"],
    rng: Key[Array, ""],
    keep_probability: float | Float[Array, ""],
    block_size: int,
) -> Float[Array, "batch height width channel"]:
    """Zeroes random squares of each channel and rescales what is left.

    Args:
        features: feature maps [batch, height, width, channel].
        rng: random key.
        keep_probability: expected share of units kept, in (0, 1]; may be traced, so that it can
            be ramped from 1 to its target as training goes on. 1 changes nothing.
        block_size: side of a square in units; cut to the map where the map is smaller.

    Returns:
        Maps of the same shape and dtype. Each example is rescaled by its own count / kept, so
        that neither the other examples of the batch nor their padding have a say.

    Source:
        Ghiasi, Lin, Le 2018, "DropBlock", equation 1 and algorithm 1.
    """
    _, height, width, _ = features.shape
    block_height, block_width = min(block_size, height), min(block_size, width)
    seed_height, seed_width = height - block_height + 1, width - block_width + 1
    gamma = (
        (1.0 - keep_probability)
        * (height * width)
        / (block_height * block_width * seed_height * seed_width)
    )
    # A seed is the upper left corner of a square, so it exists only where the square fits.
    shape = (features.shape[0], seed_height, seed_width, features.shape[3])
    seeds = jax.random.bernoulli(rng, gamma, shape)
    dropped = jax.lax.reduce_window(
        seeds,
        False,
        jax.lax.bitwise_or,
        (1, block_height, block_width, 1),
        (1, 1, 1, 1),
        ((0, 0), (block_height - 1, block_height - 1), (block_width - 1, block_width - 1), (0, 0)),
    )
    kept_share = 1.0 - jnp.mean(dropped, axis=(1, 2, 3), keepdims=True, dtype=jnp.float32)
    scale = jnp.where(kept_share > 0, 1.0 / jnp.maximum(kept_share, 1e-6), 0.0)
    return jnp.where(dropped, 0.0, features * scale).astype(features.dtype)
