"""Gated attention over tiles."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.dense import uniform_dense
from iqa_jax.models.fusions.fused import Fused, masked_softmax, weigh


class GatedAttention(nn.Module):
    """Weighs tiles by a = softmax(wᵀ (tanh(V h) ⊙ σ(U h))).

    Source:
        Ilse, Tomczak, Welling 2018, equation 9.

    Attributes:
        attention_dim: rows of V and of U.
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
        dim = embeddings.shape[-1]
        content = uniform_dense(dim, self.attention_dim, self.dtype, "V")
        gate = uniform_dense(dim, self.attention_dim, self.dtype, "U")
        score = uniform_dense(self.attention_dim, 1, self.dtype, "w")
        hidden = jnp.tanh(content(embeddings)) * nn.sigmoid(gate(embeddings))
        return weigh(embeddings, masked_softmax(score(hidden)[..., 0], tile_mask))
