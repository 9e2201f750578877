"""Heads: from a fused embedding to the outputs of a task."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class TwoLayerHead(nn.Module):
    """Two fully connected layers with ReLU and dropout between them, or one alone.

    The outputs are float32 whatever the computation's type, so that losses are. With a kernel ridge
    regression among the variables they are the mean of the layers' and of its own.

    Attributes:
        hidden_dim: width of the first layer; 0: there is none, and the other one begins at 0, so
            that nothing random reaches an encoder that trains with it.
        outputs: width of the second.
        dropout: part of the inputs and of the hidden units dropped in training, from [0, 1).
        dtype: of the computation; parameters stay float32.
        begins_at_zero: whether the second layer does so too where there is a first one.
    """

    hidden_dim: int
    outputs: int
    dropout: float
    dtype: DTypeLike
    begins_at_zero: bool

    @nn.compact
    def __call__(
        self, embedding: Float[Array, "*batch dim"], train: bool = False
    ) -> Float[Array, "*batch outputs"]:
        hidden = nn.Dropout(self.dropout, deterministic=not train)(embedding)
        if self.hidden_dim:
            hidden = nn.relu(nn.Dense(self.hidden_dim, dtype=self.dtype, name="hidden")(hidden))
            hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        outputs = self.output(hidden).astype(jnp.float32)
        if self.has_variable("kernel_ridge", "dual"):
            outputs = (outputs + self._ask_neighbours(embedding.astype(jnp.float32))) / 2
        return outputs

    def _ask_neighbours(
        self, embedding: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch outputs"]:
        """Gives the answer of a kernel ridge regression; see `analysis.kernel_ridge`."""
        support, dual, offset, gamma = (
            self.get_variable("kernel_ridge", name)
            for name in ("support", "dual", "offset", "gamma")
        )
        lengths = (embedding**2).sum(-1, keepdims=True) + (support**2).sum(-1)
        products = jnp.matmul(embedding, support.T, precision="highest")
        distances = jnp.maximum(lengths - 2 * products, 0)
        return jnp.exp(-gamma * distances) @ dual + offset

    def output(self, hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch outputs"]:
        """Applies the second layer; called within `__call__`."""
        return nn.Dense(
            self.outputs, dtype=self.dtype, kernel_init=self.output_init, name="output"
        )(hidden)

    @property
    def output_init(self) -> nn.initializers.Initializer:
        """What the second layer's kernel begins with."""
        if self.begins_at_zero or not self.hidden_dim:
            return nn.initializers.zeros
        return nn.linear.default_kernel_init


class CoralHead(TwoLayerHead):
    """Two layers whose outputs share one weight vector and differ in a bias alone.

    With output k the logit of P(grade > k), the biases begin falling from 1, so that the answers
    start out in order.

    Source:
        Cao, Mirjalili, Raschka 2020, section 3.3; the biases' start is that of their code.
    """

    def output(self, hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch outputs"]:
        score = nn.Dense(
            1, use_bias=False, dtype=self.dtype, kernel_init=self.output_init, name="output"
        )(hidden)
        bias = self.param(
            "bias", lambda _: jnp.arange(self.outputs, 0, -1, jnp.float32) / self.outputs
        )
        return score + bias


class ProjectionHead(TwoLayerHead):
    """Two layers onto the unit sphere, and a linear probe of where on it an embedding lies.

    The outputs are the projection, then the probe's logits. The probe is fitted to training images
    rather than trained: until then it is 0, and answers that all classes are alike.

    Attributes:
        projection_dim: so many of the outputs are the projection.

    Source:
        Khosla et al. 2020, section 3.1; what is probed here is the projection itself, the one layer
        that learns even on a frozen encoder.
    """

    projection_dim: int

    def output(self, hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch outputs"]:
        projection = nn.Dense(self.projection_dim, dtype=self.dtype, name="output")(hidden)
        projection = projection.astype(jnp.float32)
        # The bound keeps the gradient finite where nothing is projected.
        length = jnp.sqrt((projection**2).sum(axis=-1, keepdims=True) + 1e-12)
        projection = projection / length
        classes = self.outputs - self.projection_dim
        zeros = nn.initializers.zeros
        kernel = self.param("probe_kernel", zeros, (self.projection_dim, classes))
        bias = self.param("probe_bias", zeros, (classes,))
        return jnp.concatenate([projection, projection @ kernel + bias], axis=-1)
