"""Gated attention over tiles that know where they are."""

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.fused import Fused
from iqa_jax.models.fusions.gated_attention import GatedAttention
from iqa_jax.models.positions import PositionEmbedding


class GatedAttentionPositions(nn.Module):
    """Adds each tile's position to its embedding, then fuses as `GatedAttention`.

    The position is projected to the embedding's width, so its scale against the embedding is
    learned. It is part of what is summed: the head sees where the tiles that count are.

    Attributes:
        attention_dim, dtype: as in `GatedAttention`.
        positions, position_dim, position_cells: as in `PositionEmbedding`.
    """

    attention_dim: int
    positions: str
    position_dim: int
    position_cells: int
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
        train: bool = False,
    ) -> Fused:
        position = PositionEmbedding(self.positions, self.position_dim, self.position_cells)
        project = nn.Dense(embeddings.shape[-1], use_bias=False, dtype=self.dtype, name="project")
        placed = embeddings + project(position(tile_position, grid_shape))
        fuse = GatedAttention(self.attention_dim, self.dtype)
        return fuse(placed, tile_mask, tile_position, grid_shape, train)
