"""Attention over tiles."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.dense import uniform_dense
from iqa_jax.models.fusions.fused import Fused, masked_softmax, weigh


class Attention(nn.Module):
    """Weighs tiles by a = softmax(wᵀ tanh(V h)).

    Source:
        Ilse, Tomczak, Welling 2018, equation 8.

    Attributes:
        attention_dim: rows of V.
        dtype: of the scores' computation; parameters stay float32.
    """

    attention_dim: int
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
        del tile_position, grid_shape, train  # Order-free, and the same in training.
        content = uniform_dense(embeddings.shape[-1], self.attention_dim, self.dtype, "V")
        score = uniform_dense(self.attention_dim, 1, self.dtype, "w")
        scores = score(jnp.tanh(content(embeddings)))[..., 0]
        return weigh(embeddings, masked_softmax(scores, tile_mask))
