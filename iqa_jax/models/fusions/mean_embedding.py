"""Mean of the tile embeddings."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.fused import Fused


class MeanEmbedding(nn.Module):
    """Every real tile counts the same; an empty bag gives the zero embedding."""

    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
    ) -> Fused:
        del tile_position, grid_shape  # Order-free.
        count = jnp.maximum(tile_mask.sum(axis=1, keepdims=True), 1)
        attention = tile_mask / count
        return Fused(jnp.einsum("btd,bt->bd", embeddings, attention), attention)
