"""Degradations of pixels by value: noise, light, contrast, colour.

Each is written for the array API and works on NumPy arrays in the loader as on JAX arrays in the
training step: (image [height, width, 3] from 0 to 255 as float, strength, rng) -> the same shape,
not yet rounded to the range. `rng` needs `standard_normal` and `random` of `np.random.Generator`.
"""

from typing import Any

import numpy as np
from jaxtyping import Real

Scalar = float | Real[Any, ""]

# Luma, Rec. 601.
_LUMA = (0.299, 0.587, 0.114)


def add_white_noise(image: Any, variance: Scalar, rng: Any) -> Any:
    """Adds normal noise to every value; the variance is that of an image in 0 to 1."""
    return image + 255 * variance**0.5 * rng.standard_normal(image.shape, dtype=np.float32)


def add_chroma_noise(image: Any, variance: Scalar, rng: Any) -> Any:
    """Adds normal noise to Cb and Cr of JPEG's YCbCr and leaves the luma alone."""
    xp = image.__array_namespace__()
    noise = rng.standard_normal((*image.shape[:2], 2), dtype=np.float32)
    blue, red = noise[..., 0], noise[..., 1]
    change = xp.stack([1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue], axis=-1)
    return image + 255 * variance**0.5 * change


def add_multiplicative_noise(image: Any, variance: Scalar, rng: Any) -> Any:
    """Multiplies every value by 1 + normal noise: speckle."""
    return image * (1 + variance**0.5 * rng.standard_normal(image.shape, dtype=np.float32))


def add_impulse_noise(image: Any, share: Scalar, rng: Any) -> Any:
    """Turns a share of the pixels black or white."""
    xp = image.__array_namespace__()
    draw = rng.random((*image.shape[:2], 1), dtype=np.float32)
    salted = xp.where(draw > 1 - share / 2, xp.full_like(image, 255), image)
    return xp.where(draw < share / 2, xp.zeros_like(image), salted)


def shift_mean(image: Any, amount: Scalar, rng: Any) -> Any:
    """Makes everything brighter or darker by an amount; chance says which."""
    xp = image.__array_namespace__()
    return image + xp.where(rng.random((), dtype=np.float32) < 0.5, -amount, amount)


def expose(image: Any, stops: Scalar, rng: Any) -> Any:
    """Multiplies the light by 2^stops; what leaves the range is lost, as in a camera."""
    xp = image.__array_namespace__()
    encoded = image / 255
    linear = xp.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = xp.clip(linear * 2.0**stops, 0, 1)
    return 255 * xp.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def scale_contrast(image: Any, factor: Scalar, rng: Any) -> Any:
    """Multiplies the distance of every value from its channel's mean."""
    xp = image.__array_namespace__()
    mean = xp.mean(image, axis=(0, 1), keepdims=True)
    return mean + factor * (image - mean)


def scale_saturation(image: Any, factor: Scalar, rng: Any) -> Any:
    """Multiplies the distance of every value from its pixel's luma; below 0 hues turn over."""
    xp = image.__array_namespace__()
    luma = xp.stack([sum(weight * image[..., k] for k, weight in enumerate(_LUMA))] * 3, axis=-1)
    return luma + factor * (image - luma)


def quantise(image: Any, step: Scalar, rng: Any) -> Any:
    """Rounds each channel to multiples of a step: false contours and lost shades."""
    xp = image.__array_namespace__()
    return xp.round(image / step) * step


def blur_by_matrices(image: Any, sigma: Scalar, rng: Any) -> Any:
    """Blurs by one matrix product per side, whose cost does not depend on sigma.

    For small images on a device, where a kernel of any width must have one shape. Mirrors at the
    border and cuts the kernel off after three sigmas, as OpenCV's GaussianBlur does.
    """
    xp = image.__array_namespace__()
    rows, columns = (_gaussian_matrix(xp, side, sigma) for side in image.shape[:2])
    return xp.permute_dims(
        xp.tensordot(columns, xp.tensordot(rows, image, axes=1), axes=((1,), (1,))), (1, 0, 2)
    )


def _gaussian_matrix(xp: Any, side: int, sigma: Scalar) -> Any:
    """Gives the [side, side] weights of a mirrored line of pixels in each blurred one."""
    # The borders are mirrored up to four sides away, farther than any sigma of ours reaches.
    reach = 4 * side
    places = np.arange(-reach, side + reach)
    period = max(2 * (side - 1), 1)
    folded = np.minimum(places % period, 2 * (side - 1) - places % period)
    fold = xp.asarray(folded[:, None] == np.arange(side), dtype=np.float32)
    distance = xp.asarray(np.abs(places - np.arange(side)[:, None]), dtype=np.float32)
    weights = xp.where(distance <= 3 * sigma + 0.5, xp.exp(-((distance / sigma) ** 2) / 2), 0.0)
    return (weights / xp.sum(weights, axis=1, keepdims=True)) @ fold
