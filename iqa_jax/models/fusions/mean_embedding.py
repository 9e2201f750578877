"""Mean of the tile embeddings."""

import flax.linen as nn
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.fused import Fused, uniform_attention, weigh


class MeanEmbedding(nn.Module):
    """Every real tile counts the same."""

    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
        train: bool = False,
    ) -> Fused:
        del tile_position, grid_shape, train  # Order-free, and the same in training.
        return weigh(embeddings, uniform_attention(tile_mask))
