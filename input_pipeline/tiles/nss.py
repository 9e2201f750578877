"""Natural-scene statistics: how the contrast-normalised pixels of a picture are distributed.

In an undistorted photograph they follow a Gaussian-like curve; blur, noise and compression each
bend it in a way of their own. Pure functions of NumPy arrays.

Source:
    Mittal, Moorthy and Bovik 2012, "No-Reference Image Quality Assessment in the Spatial Domain"
    (BRISQUE). Where the paper leaves a choice: the picture is mirrored at its border, pairs of
    neighbours do not wrap around it, and shapes are read between the entries of the table.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float64, Num, UInt8
from scipy.special import gamma

SCALES = 2
FEATURES = 18 * SCALES

# Ratio of the squared mean size to the mean square of a generalised Gaussian, by its shape.
_SHAPES = np.arange(0.2, 10.0005, 0.001)
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))
# What has no distribution, a flat picture, is given the Gaussian's shape and no variance.
_FLAT_SHAPE = 2.0
_WINDOW, _SIGMA = (7, 7), 7 / 6
# Grey levels: what rounding leaves of a flat area, and far below what one pixel does to others.
_ROUNDING = 1e-6
# Antialiased bicubic at half size: Keys' kernel (a = -1/2), stretched by two.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


def nss_features(image: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "36"]:
    """Gives the BRISQUE features of a picture, of any size.

    Returns:
        Two scales, full and half size, each 18 values: shape and variance of the normalised
        pixels, then for their products with the neighbour to the right, below, below right and
        above right: shape, mean, left variance and right variance. Always finite.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    features = []
    for scale in range(SCALES):
        luma = halve(luma) if scale else luma
        features += describe(normalise_contrast(luma))
    return np.array(features)


def normalise_contrast(
    luma: Num[np.ndarray, "height width"],
) -> Float64[np.ndarray, "height width"]:
    """Subtracts the local mean and divides by the local deviation, plus one grey level.

    Args:
        luma: 0 to 255.

    Returns:
        The mean-subtracted contrast-normalised coefficients (MSCN); exactly 0 in flat areas.
    """
    luma = np.asarray(luma, np.float64)
    mean = cv2.GaussianBlur(luma, _WINDOW, _SIGMA)
    variance = cv2.GaussianBlur(luma * luma, _WINDOW, _SIGMA) - mean * mean
    difference = luma - mean
    difference *= np.abs(difference) >= _ROUNDING
    return difference / (np.sqrt(np.maximum(variance, 0)) + 1)


def describe(normalised: Float[np.ndarray, "height width"]) -> list[float]:
    """Gives the 18 features of one scale, in the order that `nss_features` says."""
    x = normalised
    products = (
        x[:, :-1] * x[:, 1:],
        x[:-1] * x[1:],
        x[:-1, :-1] * x[1:, 1:],
        x[1:, :-1] * x[:-1, 1:],
    )
    features = [*fit_symmetric(x)]
    for product in products:
        features += fit_asymmetric(product)
    return features


def fit_symmetric(values: Float[np.ndarray, "..."]) -> tuple[float, float]:
    """Fits a generalised Gaussian of mean 0 by its moments.

    Returns:
        Shape α (2: Gaussian, 1: Laplacian), cut to 0.2 to 10, and variance σ².
    """
    square = np.vdot(values, values)
    if square == 0:
        return _FLAT_SHAPE, 0.0
    size = np.abs(values).sum()
    return _shape(size**2 / (values.size * square)), float(square / values.size)


def fit_asymmetric(values: Float[np.ndarray, "..."]) -> tuple[float, float, float, float]:
    """Fits an asymmetric generalised Gaussian by its moments.

    Returns:
        Shape α, cut to 0.2 to 10, mean η, and the variances σl² and σr² of the values below and
        above 0; the variance of a side without values is 0.

    Source:
        Lasmar, Stitou and Berthoumieu 2009, "Multiscale skewed heavy tailed model for texture
        analysis"; η as in BRISQUE, equation 8.
    """
    negative = np.minimum(values, 0)
    positive = values - negative
    squares = np.array([np.vdot(negative, negative), np.vdot(positive, positive)])
    if not squares.any():
        return _FLAT_SHAPE, 0.0, 0.0, 0.0
    counts = np.array([np.count_nonzero(negative), np.count_nonzero(positive)])
    variances = squares / np.maximum(counts, 1)
    left, right = np.sqrt(variances)
    size = (positive.sum() - negative.sum()) / values.size
    # The correction is the same for left by right as for right by left.
    skew = min(left, right) / max(left, right)
    ratio = size**2 / squares.sum() * values.size
    shape = _shape(ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2)
    mean = (right - left) * gamma(2 / shape) / np.sqrt(gamma(1 / shape) * gamma(3 / shape))
    return shape, float(mean), float(variances[0]), float(variances[1])


def halve(luma: Float[np.ndarray, "height width"]) -> Float64[np.ndarray, "rows columns"]:
    """Halves a picture's sides, rounded up: bicubic, antialiased, mirrored at the border.

    Source:
        MATLAB's `imresize(picture, 0.5)`, which the paper's own code calls.
    """
    blurred = cv2.sepFilter2D(
        np.asarray(luma, np.float64), -1, _HALVING, _HALVING,
        anchor=(3, 3), borderType=cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.ascontiguousarray(blurred[::2, ::2])


def _shape(ratio: float) -> float:
    return float(np.interp(ratio, _RATIOS, _SHAPES))
