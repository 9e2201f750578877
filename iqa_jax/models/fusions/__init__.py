"""Fusions inside the network, from the tile embeddings of a bag to one. One file each.

Every fusion is a module called as `(embeddings, tile_mask, tile_position, grid_shape, train=False)
-> Fused`. One with parameters has a section of its name in `config.fusion`, whose keys are its
fields besides the computation's `dtype`.
"""

from iqa_jax.models.fusions.attention import Attention
from iqa_jax.models.fusions.fused import Fused
from iqa_jax.models.fusions.gated_attention import GatedAttention
from iqa_jax.models.fusions.gated_attention_positions import GatedAttentionPositions
from iqa_jax.models.fusions.max_embedding import MaxEmbedding
from iqa_jax.models.fusions.mean_embedding import MeanEmbedding
from iqa_jax.models.fusions.tile_vit import READOUTS, TileVit

FUSIONS = {
    "mean_embedding": MeanEmbedding,
    "max_embedding": MaxEmbedding,
    "attention": Attention,
    "gated_attention": GatedAttention,
    "gated_attention_positions": GatedAttentionPositions,
    "tile_vit": TileVit,
}

__all__ = ["FUSIONS", "READOUTS", "Fused"]
