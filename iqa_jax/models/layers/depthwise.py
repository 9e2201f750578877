"""The depthwise 3x3 convolution, in the form that each platform runs well."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Into so many parts at most `_kernel_gradient` splits the batch.
_MOST_PARTS = 8


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise_convolution(
    x: Float[Array, "n height width channel"],
    kernel: Float[Array, "3 3 1 channel"],
    stride: int,
) -> Float[Array, "n rows columns channel"]:
    """Convolves each channel with its own 3x3 kernel, zero-padded by one on each side.

    The form is chosen as it is compiled, so what is exported for several platforms has them all.

    Args:
        x: [n, height, width, channel].
        kernel: [3, 3, 1, channel], of the dtype of `x`.
        stride: 1 or 2.
    """
    outputs: Array = jax.lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_shifted, stride=stride),
        default=functools.partial(_grouped, stride=stride),
    )  # pyright: ignore[reportAssignmentType] (it gives what its functions give)
    return outputs


def _grouped(x, kernel, stride):
    """Calls the library's grouped convolution, the right one on accelerators."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((1, 1), (1, 1)),
        feature_group_count=x.shape[-1],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _shifted(x, kernel, stride):
    """Adds nine shifted copies: on CPU, XLA's grouped convolution is some tenfold slower."""
    return _add_shifts(_pad(x), kernel[:, :, 0], stride)


def _pad(x):
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _add_shifts(padded, kernel, stride):
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    return sum(
        padded[:, i : i + height : stride, j : j + width : stride] * kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


def _forward(x, kernel, stride):
    return depthwise_convolution(x, kernel, stride), (x, kernel)


def _backward(stride, residuals, gradient):
    return jax.lax.platform_dependent(
        *residuals,
        gradient,
        cpu=functools.partial(_shifted_backward, stride=stride),
        default=functools.partial(_grouped_backward, stride=stride),
    )


def _grouped_backward(x, kernel, gradient, stride):
    _, backward = jax.vjp(functools.partial(_grouped, stride=stride), x, kernel)
    return backward(gradient)


def _shifted_backward(x, kernel, gradient, stride):
    height, width = x.shape[1:3]
    # The input's gradient is the convolution of the gradient, spread out by the stride, with the
    # kernel turned by half a circle.
    rows, columns = (stride * (size - 1) + 1 for size in gradient.shape[1:3])
    edges = ((0, 0, 0), (1, height - rows + 1, stride - 1), (1, width - columns + 1, stride - 1))
    spread = jax.lax.pad(gradient, jnp.zeros((), gradient.dtype), (*edges, (0, 0, 0)))
    x_gradient = _add_shifts(spread, kernel[::-1, ::-1, 0], 1)
    return x_gradient, _kernel_gradient(x, gradient, stride)[:, :, None]


def _kernel_gradient(x, gradient, stride):
    """Correlates input and gradient for each tap, over the positions where both exist.

    XLA on CPU vectorises an elementwise loop over shifted slices, but it copies every slice that
    a sum reads. So the products of a few parts of the batch are added elementwise, and only
    this is summed, by a matrix product, which is never fused with what it reads.
    """
    parts = max(p for p in range(1, _MOST_PARTS + 1) if len(x) % p == 0)

    def tap(i, j):
        rows, input_rows = _overlap(i, stride, x.shape[1], gradient.shape[1])
        columns, input_columns = _overlap(j, stride, x.shape[2], gradient.shape[2])
        return x[:, input_rows, input_columns], gradient[:, rows, columns]

    def correlate(inputs, outputs):
        pairs = zip(jnp.split(inputs, parts), jnp.split(outputs, parts), strict=True)
        products = jnp.asarray(sum(x_part * gradient_part for x_part, gradient_part in pairs))
        products = products.reshape(-1, products.shape[-1])
        return jnp.ones((1, len(products)), products.dtype) @ products

    taps = [correlate(*tap(i, j)) for i in range(3) for j in range(3)]
    return jnp.concatenate(taps).reshape(3, 3, -1)


def _overlap(tap, stride, size, output_size):
    """Gives the outputs that a tap reaches inside the image, and the inputs they meet there."""
    first = 1 if tap == 0 else 0
    last = min(output_size - 1, (size - tap) // stride)
    start = first * stride + tap - 1
    return slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


depthwise_convolution.defvjp(_forward, _backward)
