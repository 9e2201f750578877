"""One layer of the encoder: convolution, BatchNorm and ReLU6 under one name."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from iqa_jax.models.layers.batch_norm import move_statistics, normalise, normalise_batch, relu6
from iqa_jax.models.layers.depthwise import depthwise_convolution


class ConvolutionNorm(nn.Module):
    """A convolution without bias, then BatchNorm, then ReLU6 if asked.

    Parameters `kernel` [height, width, in, out], `scale`, `bias` [out]; batch statistics `mean`,
    `var` [out]; all float32. Padding is symmetric, as in PyTorch. Without `scale` and statistics,
    as `fold_batch_norm` leaves it, the layer adds its bias and is for prediction only.

    Attributes:
        channels: of the output.
        kernel_size: side of the kernel.
        stride: of the convolution.
        is_depthwise: one kernel per channel.
        is_cut: whether ReLU6 follows.
        dtype: of the computation.
        axis_name: mapped axis to share statistics over, or None.
    """

    channels: int
    kernel_size: int = 1
    stride: int = 1
    is_depthwise: bool = False
    is_cut: bool = True
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        inputs: Float[Array, "n height width channel"],
        mask: Bool[Array, " n"],
        train: bool,
    ) -> Float[Array, "n rows columns channel_out"]:
        """Applies the layer.

        Args:
            inputs: [n, height, width, channel].
            mask: [n], False for examples that must not enter the statistics.
            train: normalise with the statistics of this batch and move the running ones.
        """
        kernel = self.param(
            "kernel",
            nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
            (
                self.kernel_size,
                self.kernel_size,
                1 if self.is_depthwise else inputs.shape[-1],
                self.channels,
            ),
        )
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        if not self.is_initializing() and not self.has_variable("params", "scale"):
            x = self._convolve(inputs.astype(self.dtype), kernel.astype(self.dtype))
            x = x.astype(jnp.float32) + bias
            return (relu6(x) if self.is_cut else x).astype(self.dtype)
        scale = self.param("scale", nn.initializers.ones, (self.channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (self.channels,))

        x = self._convolve(inputs.astype(self.dtype), kernel.astype(self.dtype))
        if not train:
            return normalise(x, scale, bias, mean.value, var.value, self.is_cut)
        y, batch = normalise_batch(  # pyright: ignore[reportGeneralTypeIssues] (custom_vjp)
            x, scale, bias, mask, mean.value, self.is_cut, self.axis_name
        )
        if not self.is_initializing():
            mean.value, var.value = move_statistics(mean.value, var.value, batch)
        return y

    def _convolve(self, x: Array, kernel: Array) -> Array:
        if self.is_depthwise:
            return depthwise_convolution(x, kernel, self.stride)
        if self.kernel_size == 1:
            return pointwise_convolution(x, kernel[0, 0])
        padding = (self.kernel_size - 1) // 2
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            ((padding, padding),) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


@jax.custom_vjp
def pointwise_convolution(
    x: Float[Array, "n height width channel"], kernel: Float[Array, "channel channel_out"]
) -> Float[Array, "n height width channel_out"]:
    """Multiplies each position's channels by the kernel.

    XLA on CPU transposes the left operand of the product that gives the kernel's gradient: here
    that is the one with fewer channels, where autodiff would always take the gradient.
    """
    return x @ kernel


def _pointwise_forward(x, kernel):
    return x @ kernel, (x, kernel)


def _pointwise_backward(residuals, gradient):
    x, kernel = residuals
    positions = (((0, 1, 2), (0, 1, 2)), ((), ()))
    if kernel.shape[0] <= kernel.shape[1]:
        kernel_gradient = jax.lax.dot_general(x, gradient, positions)
    else:
        kernel_gradient = jax.lax.dot_general(gradient, x, positions).T
    return gradient @ kernel.T, kernel_gradient


pointwise_convolution.defvjp(_pointwise_forward, _pointwise_backward)
