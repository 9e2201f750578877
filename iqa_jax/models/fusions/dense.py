"""The dense layer of the attention fusions, drawn as their reference code draws it."""

import flax.linen as nn
import jax
from jax.typing import DTypeLike


def uniform_dense(inputs: int, outputs: int, dtype: DTypeLike, name: str) -> nn.Dense:
    """Makes a dense layer whose kernel and bias start uniform within ±1/√inputs.

    Source:
        The published code of attention-based deep MIL (Ilse et al. 2018), which leaves PyTorch's
        defaults.
    """

    def draw(key, shape, dtype):
        return jax.random.uniform(key, shape, dtype, -(inputs**-0.5), inputs**-0.5)

    return nn.Dense(outputs, dtype=dtype, kernel_init=draw, bias_init=draw, name=name)
