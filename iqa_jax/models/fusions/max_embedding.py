"""Maximum of the tile embeddings, per dimension."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.fused import Fused


class MaxEmbedding(nn.Module):
    """In every dimension the highest tile wins; attention is the part of dimensions it wins.

    Tiles that tie in a dimension share it: many dimensions of a ReLU encoder are 0 in all tiles.
    """

    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
        train: bool = False,
    ) -> Fused:
        del tile_position, grid_shape, train  # Order-free, and the same in training.
        real = jnp.where(tile_mask[..., None], embeddings, -jnp.inf)
        highest = real.max(axis=1, keepdims=True)
        wins = ((real == highest) & tile_mask[..., None]).astype(jnp.float32)
        winners = jnp.maximum(wins.sum(axis=1, keepdims=True), 1)
        has_tiles = tile_mask.any(axis=1, keepdims=True)
        return Fused(jnp.where(has_tiles, highest[:, 0], 0), (wins / winners).mean(axis=-1))
