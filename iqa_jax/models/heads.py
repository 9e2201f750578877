"""Heads: from a fused embedding to the outputs of a task."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class TwoLayerHead(nn.Module):
    """Two fully connected layers with ReLU and dropout between them.

    The outputs are float32 whatever the computation's type, so that losses are.

    Attributes:
      hidden_dim: width of the first layer.
      outputs: width of the second.
      dropout: part of the inputs and of the hidden units dropped in training, from [0, 1).
      dtype: of the computation; parameters stay float32.
    """

    hidden_dim: int
    outputs: int
    dropout: float
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, embedding: Float[Array, "*batch dim"], train: bool = False
    ) -> Float[Array, "*batch outputs"]:
        hidden = nn.Dropout(self.dropout, deterministic=not train)(embedding)
        hidden = nn.relu(nn.Dense(self.hidden_dim, dtype=self.dtype, name="hidden")(hidden))
        hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        return nn.Dense(self.outputs, dtype=self.dtype, name="output")(hidden).astype(jnp.float32)
