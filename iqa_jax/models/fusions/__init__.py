"""Fusions inside the network, from the tile embeddings of a bag to one. One file each.

Every fusion is a module called as `(embeddings, tile_mask, tile_position, grid_shape) -> Fused`.
"""

from iqa_jax.models.fusions.fused import Fused
from iqa_jax.models.fusions.mean_embedding import MeanEmbedding

FUSIONS = {"mean_embedding": MeanEmbedding}

__all__ = ["FUSIONS", "Fused"]
