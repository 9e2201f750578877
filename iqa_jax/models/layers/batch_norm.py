"""BatchNorm with ReLU6 as one operation, with masks and a gradient of few passes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

EPSILON = 1e-5
MOMENTUM = 0.9


class Statistics(NamedTuple):
    """Mean and biased variance per channel, and the number of values behind each."""

    mean: Float[Array, " channel"]
    var: Float[Array, " channel"]
    count: Float[Array, ""]


def move_statistics(
    mean: Float[Array, " channel"], var: Float[Array, " channel"], batch: Statistics
) -> tuple[Float[Array, " channel"], Float[Array, " channel"]]:
    """Moves running statistics towards those of a batch; an empty batch moves nothing.

    Returns:
        Mean and variance; the unbiased one, as PyTorch keeps it.
    """
    unbiased = batch.var * batch.count / jnp.maximum(batch.count - 1, 1)
    step = jnp.where(batch.count > 0, 1 - MOMENTUM, 0.0)
    return mean + step * (batch.mean - mean), var + step * (unbiased - var)


@jax.custom_vjp
def relu6(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Cuts to [0, 6]; the gradient is zero at both ends, as in PyTorch."""
    return jnp.clip(x, 0.0, 6.0)


def _relu6_forward(x):
    y = jnp.clip(x, 0.0, 6.0)
    return y, y


def _relu6_backward(y, gradient):
    return (jnp.where((y > 0) & (y < 6), gradient, 0),)


relu6.defvjp(_relu6_forward, _relu6_backward)


def normalise(
    x: Float[Array, "n height width channel"],
    scale: Float[Array, " channel"],
    bias: Float[Array, " channel"],
    mean: Float[Array, " channel"],
    var: Float[Array, " channel"],
    is_cut: bool,
) -> Float[Array, "n height width channel"]:
    """Normalises with given statistics, then applies ReLU6 if `is_cut`; keeps the dtype of x."""
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    y = x.astype(jnp.float32) * factor + (bias - mean * factor)
    return (relu6(y) if is_cut else y).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def normalise_batch(
    x: Float[Array, "n height width channel"],
    scale: Float[Array, " channel"],
    bias: Float[Array, " channel"],
    mask: Bool[Array, " n"],
    shift: Float[Array, " channel"],
    is_cut: bool,
    axis_name: str | None,
) -> tuple[Float[Array, "n height width channel"], Statistics]:
    """Normalises with the statistics of this batch, then applies ReLU6 if `is_cut`.

    With x^ = (x - mean) / sqrt(var + e), the gradient g of scale * x^ + bias (ReLU6 undone), m
    the mask of the example and N the count, the gradients are

        d bias = sum g,   d scale = sum g x^,
        d x = scale / sqrt(var + e) * (g - m / N * (d bias + x^ * d scale)),

    where the sums run over everything, masked or not, because a masked output too depends on the
    statistics. Autodiff would reach the same with more passes over x, and memory is what this
    costs. No gradient flows through the statistics returned.

    Args:
        x: [n, height, width, channel].
        scale: [channel] float32.
        bias: [channel] float32.
        mask: [n], False for examples that must not enter the statistics.
        shift: [channel], a rough guess of the mean: squares are summed about it, without the
            cancellation of E[x^2] - E[x]^2.
        is_cut: whether ReLU6 follows.
        axis_name: mapped axis to share the statistics over, or None.

    Returns:
        The result in the dtype of x, and the statistics in float32.

    Source:
        Ioffe, Szegedy 2015, algorithm 1 and section 3.
    """
    statistics = _measure(x, mask, shift, axis_name)
    return normalise(x, scale, bias, statistics.mean, statistics.var, is_cut), statistics


def _measure(x, mask, shift, axis_name):
    x = x.astype(jnp.float32)
    weight = mask.astype(jnp.float32)
    # Sums per example first: the mask then costs nothing.
    total = weight @ jnp.sum(x, axis=(1, 2))
    square = weight @ jnp.sum((x - shift) ** 2, axis=(1, 2))
    count = jnp.sum(weight) * (x.shape[1] * x.shape[2])
    if axis_name is not None:
        total, square, count = jax.lax.psum((total, square, count), axis_name)
    mean = total / jnp.maximum(count, 1)
    var = square / jnp.maximum(count, 1) - (mean - shift) ** 2
    return Statistics(mean, jnp.maximum(var, 0), count)


def _normalise_batch_forward(x, scale, bias, mask, shift, is_cut, axis_name):
    y, statistics = normalise_batch(  # pyright: ignore[reportGeneralTypeIssues] (custom_vjp)
        x, scale, bias, mask, shift, is_cut, axis_name
    )
    return (y, statistics), (x, scale, bias, mask, statistics)


def _normalise_batch_backward(is_cut, axis_name, residuals, gradients):
    x, scale, bias, mask, statistics = residuals
    gradient = gradients[0].astype(jnp.float32)
    x_32 = x.astype(jnp.float32)
    deviation = jnp.sqrt(statistics.var + EPSILON)
    if is_cut:
        factor = scale / deviation
        y = x_32 * factor + (bias - statistics.mean * factor)
        gradient = jnp.where((y > 0) & (y < 6), gradient, 0)
    bias_gradient = jnp.sum(gradient, axis=(0, 1, 2))
    scale_gradient = jnp.sum(gradient * (x_32 - statistics.mean), axis=(0, 1, 2)) / deviation
    sums = bias_gradient, scale_gradient
    if axis_name is not None:
        sums = jax.lax.psum(sums, axis_name)
    # Written as slope * x + offset: a centred copy of x would be one more tensor to store.
    share = scale / jnp.maximum(statistics.count, 1)
    slope = share * sums[1] / deviation
    offset = share * sums[0] - slope * statistics.mean
    through_statistics = jnp.where(mask[:, None, None, None], x_32 * slope + offset, 0)
    x_gradient = (gradient * scale - through_statistics) / deviation
    return x_gradient.astype(x.dtype), scale_gradient, bias_gradient, None, None


normalise_batch.defvjp(_normalise_batch_forward, _normalise_batch_backward)
