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
        return self.output(hidden).astype(jnp.float32)

    def output(self, hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch outputs"]:
        """Applies the second layer; called within `__call__`."""
        return nn.Dense(self.outputs, dtype=self.dtype, name="output")(hidden)


class CoralHead(TwoLayerHead):
    """Two layers whose outputs share one weight vector and differ in a bias alone.

    With output k the logit of P(grade > k), the biases begin falling from 1, so that the answers
    start out in order.

    Source: Cao, Mirjalili, Raschka 2020, section 3.3; the biases' start is that of their code.
    """

    def output(self, hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch outputs"]:
        score = nn.Dense(1, use_bias=False, dtype=self.dtype, name="output")(hidden)
        bias = self.param(
            "bias", lambda _: jnp.arange(self.outputs, 0, -1, jnp.float32) / self.outputs
        )
        return score + bias
