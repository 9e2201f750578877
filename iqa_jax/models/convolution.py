"""One layer of the encoder: convolution, BatchNorm and ReLU6 under one name."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iqa_jax.models.depthwise import depthwise_convolution

EPSILON = 1e-5
MOMENTUM = 0.9


class ConvolutionNorm(nn.Module):
    """A convolution without bias, then BatchNorm, then ReLU6 if asked.

    Parameters `kernel` [height, width, in, out], `scale`, `bias` [out]; batch statistics `mean`,
    `var` [out]; all float32. Padding is symmetric, as in PyTorch.

    Attributes:
        channels: of the output.
        kernel_size: side of the kernel.
        stride: of the convolution.
        depthwise: one kernel per channel.
        relu6: whether the activation follows.
        dtype: of the computation.
        axis_name: mapped axis to share statistics over, or None.
    """

    channels: int
    kernel_size: int = 1
    stride: int = 1
    depthwise: bool = False
    relu6: bool = True
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        inputs: Float[Array, "n height width channel"],
        mask: Bool[Array, " n"] | None,
        train: bool,
    ) -> Float[Array, "n rows columns channel_out"]:
        """Applies the layer.

        Args:
            inputs: [n, height, width, channel].
            mask: [n], False for examples that must not enter the statistics; None for none.
            train: normalise with the statistics of this batch and move the running ones.
        """
        groups = self.channels if self.depthwise else 1
        kernel = self.param(
            "kernel",
            nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
            (self.kernel_size, self.kernel_size, inputs.shape[-1] // groups, self.channels),
        )
        scale = self.param("scale", nn.initializers.ones, (self.channels,))
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (self.channels,))

        x, kernel = inputs.astype(self.dtype), kernel.astype(self.dtype)
        if self.depthwise:
            x = depthwise_convolution(x, kernel, self.stride)
        elif self.kernel_size == 1:
            x = x @ kernel[0, 0]
        else:
            padding = (self.kernel_size - 1) // 2
            x = jax.lax.conv_general_dilated(
                x,
                kernel,
                (self.stride, self.stride),
                ((padding, padding),) * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        if train:
            batch_mean, batch_var, count = batch_statistics(
                x, mask, jax.lax.stop_gradient(mean.value), self.axis_name
            )
            if not self.is_initializing():
                # PyTorch keeps the unbiased variance; an empty batch moves nothing.
                unbiased = batch_var * count / jnp.maximum(count - 1, 1)
                step = jnp.where(count > 0, 1 - MOMENTUM, 0.0)
                mean.value += step * (batch_mean - mean.value)
                var.value += step * (unbiased - var.value)
        else:
            batch_mean, batch_var = mean.value, var.value
        factor = scale * jax.lax.rsqrt(batch_var + EPSILON)
        x = x * factor + (bias - batch_mean * factor)
        if self.relu6:
            x = jnp.clip(x, 0.0, 6.0)
        return x.astype(self.dtype)


def batch_statistics(
    x: Float[Array, "n height width channel"],
    mask: Bool[Array, " n"] | None,
    shift: Float[Array, " channel"],
    axis_name: str | None,
) -> tuple[Float[Array, " channel"], Float[Array, " channel"], Float[Array, ""]]:
    """Gives mean and biased variance per channel over the real examples.

    Args:
        x: [n, height, width, channel].
        mask: [n], False for padding, or None.
        shift: [channel], any rough guess of the mean: both sums are taken about it in one pass,
            without the cancellation of E[x^2] - E[x]^2.
        axis_name: mapped axis to sum over, or None.

    Returns:
        Mean, variance, and the number of values behind each.
    """
    x = x.astype(jnp.float32) - shift
    if mask is None:
        count = jnp.float32(x.size // x.shape[-1])
    else:
        x = jnp.where(mask[:, None, None, None], x, 0.0)
        count = jnp.sum(mask, dtype=jnp.float32) * (x.shape[1] * x.shape[2])
    total, square = jnp.sum(x, axis=(0, 1, 2)), jnp.sum(x * x, axis=(0, 1, 2))
    if axis_name is not None:
        total, square, count = jax.lax.psum((total, square, count), axis_name)
    mean = total / jnp.maximum(count, 1)
    var = jnp.maximum(square / jnp.maximum(count, 1) - mean * mean, 0.0)
    return shift + mean, var, count
