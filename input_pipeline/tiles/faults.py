"""Measured quantities of a picture, and what they say is probably wrong with it.

A score says how good a picture is; these say, each in a unit of its own, how sharp, noisy, bright
and blocky it is. Pure functions of NumPy arrays, whose cost is bounded however large the picture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

# Sides of any length: crops and reductions of one picture go through one function.
Luma = UInt8[np.ndarray, "_ _"]

# Sharpness and exposure are of the picture as a screen shows it, noise and blocks of its pixels.
_SEEN_PIXELS = 1 << 20
# So many crops a side, of this side, stand for a larger picture.
_CROPS, _CROP = 3, 336

# Edges are looked at through Gaussians of these sigmas, in pixels.
_FINE, _COARSE = 1.0, 2.0
# Below so many grey levels a pixel there is no edge but rounding; of a direction the steepest share
# counts, and so many places at least.
_LEAST_SLOPE, _STEEPEST, _LEAST_PLACES = 1.0, 0.1, 20
# With so much deviation, in grey levels, and no edge a picture is blurred beyond measure.
_CONTRAST = 8.0
# The variance of a difference over two pixels, which blurs as much.
_SLOPES = 1 / 3
# Four directions are told apart in their middle, at 22.5 degrees.
_BETWEEN = 2**0.5 - 1

# Its response to noise of sigma 1 has sigma 6; to a slope it has none.
_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Noise is that of the smoothest share of blocks of so many pixels, without those that are clipped.
_BLOCK, _SMOOTHEST = 16, 0.2
_UNCLIPPED = (8, 247)

_ENCODED = np.arange(256) / 255
_LINEAR = np.where(
    _ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4
)  # Of sRGB.
# The light that a photograph is exposed for in the mean, and the least there is.
_MID_GREY = 0.18
_LEAST_LIGHT = 2.0**-12 * _MID_GREY

# JPEG's blocks. Steps of more grey levels are edges and count as so many; half a level more keeps
# what rounding leaves of a flat picture from being a ratio.
_GRID, _MOST_STEP, _ROUNDING = 8, 32, 0.5

# Where a quantity leaves its range, and how far beyond it is as wrong again. Set so that the words
# fit photographs of some 500 pixels that were degraded on purpose; see the tests.
_BLURRED, _NOISY, _BLOCKY = 0.25, 8.0, 1.6
_DARK, _BRIGHT, _STOPS = -2.25, 1.6, 0.5
FAULTS = ("blurred", "dark", "bright", "noisy", "blocky")


class Measured(NamedTuple):
    """What is measured of one picture; None where it has nothing to measure by.

    Attributes:
        sharpness: 0 to 1, how steep edges are in the direction in which they are the least steep:
            1 / (1 + s²) for edges that a Gaussian of sigma s pixels has blurred, at a size of at
            most a megapixel.
        noise: standard deviation of the pixels' noise, in grey levels of 0 to 255.
        exposure: mean light in stops from mid-grey, 18 %; below 0 darker, above it brighter.
        blockiness: steps between blocks of 8x8 pixels in parts of those inside; 1 without blocks.
    """

    sharpness: float | None = None
    noise: float | None = None
    exposure: float | None = None
    blockiness: float | None = None


def measure(image: UInt8[np.ndarray, "height width 3"]) -> Measured:
    """Measures a picture, RGB and of any size."""
    luma = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    seen, crops = _as_seen(luma), _crops(luma)
    return Measured(
        measure_sharpness(seen),
        measure_noise(crops),
        measure_exposure(seen),
        measure_blockiness(crops),
    )


def name_fault(measured: Measured) -> str:
    """Says in a word what is probably wrong: one of `FAULTS`, or nothing.

    Of several quantities that are out of their range, the one that is furthest out counts. A
    picture may be meant so: the words are for those that were scored low.
    """
    sharpness, noise, exposure, blockiness = measured
    excess = dict.fromkeys(FAULTS, 0.0)
    if sharpness is not None:
        excess["blurred"] = np.log2(_BLURRED / max(sharpness, 1e-3))
    if noise is not None:
        excess["noisy"] = np.log2(max(noise, 1e-3) / _NOISY)
    if exposure is not None:
        excess["dark"] = (_DARK - exposure) / _STOPS
        excess["bright"] = (exposure - _BRIGHT) / _STOPS
    if blockiness is not None:
        excess["blocky"] = np.log2(max(blockiness - 1, 1e-3) / (_BLOCKY - 1))
    worst = max(excess, key=lambda name: excess[name])
    return worst if excess[worst] > 0 else ""


def measure_sharpness(luma: Luma) -> float | None:
    """Measures how steep edges are, in the direction in which they are the least steep.

    How blurred an edge is shows in how much less steep a known blur makes it. Looked at through a
    first blur, it is edges that are compared and not noise.

    Source:
        Zhuo and Sim 2011, "Defocus map estimation from a single image", Pattern Recognition.
    """
    if min(luma.shape) < _GRID:
        return None
    # As wide as the kernels are anywhere above a hundredth of their middle.
    fine = cv2.GaussianBlur(luma.astype(np.float32), (7, 7), _FINE)
    coarse = cv2.GaussianBlur(fine, (11, 11), (_COARSE**2 - _FINE**2) ** 0.5)
    (right, down), (coarse_right, coarse_down) = _slopes(fine), _slopes(coarse)
    steep = right**2 + down**2
    places = np.flatnonzero(steep >= _LEAST_SLOPE**2)
    right, down, steep = right[places], down[places], steep[places]
    ratios = steep / np.maximum(coarse_right[places] ** 2 + coarse_down[places] ** 2, 1e-6)
    is_level = np.abs(right) < _BETWEEN * np.abs(down)
    is_upright = np.abs(down) < _BETWEEN * np.abs(right)
    is_slanted, is_falling = ~(is_level | is_upright), right * down > 0
    found = []
    for is_own in (is_level, is_upright, is_slanted & is_falling, is_slanted & ~is_falling):
        own = np.flatnonzero(is_own)
        count = max(int(_STEEPEST * len(own)), _LEAST_PLACES)
        if count <= len(own):
            steepest = own[np.argpartition(steep[own], -count)[-count:]]
            found.append(np.median(ratios[steepest]))
    if not found:
        return 0.0 if fine.std() > _CONTRAST else None
    # The second: one direction alone may have no edges but those of a soft background.
    ratio = sorted(found)[:2][-1]
    # The ratio is (s² + coarse²) / (s² + fine²), each with the slopes' own blur.
    variance = (_COARSE**2 + _SLOPES - ratio * (_FINE**2 + _SLOPES)) / max(ratio - 1, 1e-6)
    return float(1 / (1 + max(variance, 0.0)))


def _slopes(values: Float32[np.ndarray, "height width"]) -> tuple[np.ndarray, np.ndarray]:
    """Gives the slopes to the right and down, in grey levels a pixel, at every fourth pixel."""
    right = values[1:-1:2, 2::2] - values[1:-1:2, :-2:2]
    down = values[2::2, 1:-1:2] - values[:-2:2, 1:-1:2]
    return right.ravel() / 2, down.ravel() / 2


def measure_noise(crops: Sequence[Luma]) -> float | None:
    """Measures the standard deviation of noise in the smoothest parts of a picture.

    Source:
        Immerkaer 1996, "Fast noise variance estimation", Computer Vision and Image Understanding;
        by blocks, since what has texture everywhere else would be noise.
    """
    found = []
    for luma in crops:
        rows, columns = (side // _BLOCK for side in luma.shape)
        if not rows or not columns:
            continue
        values = luma[: rows * _BLOCK, : columns * _BLOCK].astype(np.float32)
        detail = np.abs(cv2.filter2D(values, -1, _LAPLACIANS))
        mean, response = (
            cv2.resize(of_pixels, (columns, rows), interpolation=cv2.INTER_AREA)
            for of_pixels in (values, detail)
        )
        found.append(response[(mean > _UNCLIPPED[0]) & (mean < _UNCLIPPED[1])])
    responses = np.concatenate(found) if found else np.zeros(0)
    if not len(responses):
        return None
    # The mean size of normal noise is sqrt(2 / pi) of its sigma.
    return float(np.quantile(responses, _SMOOTHEST) * (np.pi / 2) ** 0.5 / 6)


def measure_exposure(luma: Luma) -> float:
    """Measures the mean light of a picture, of which a stop is a factor of two."""
    counts = np.bincount(luma.ravel(), minlength=256)
    return float(np.log2(max(counts @ _LINEAR / luma.size, _LEAST_LIGHT) / _MID_GREY))


def measure_blockiness(crops: Sequence[Luma]) -> float | None:
    """Measures how much larger steps are at one place in eight, wherever the grid begins.

    Source:
        Wang, Bovik and Evans 2000, "Blind measurement of blocking artifacts in images", for the
        signal of absolute differences; as a ratio over the places of the grid.
    """
    if min(min(luma.shape) for luma in crops) <= _GRID:
        return None
    ratios = []
    for axis in range(2):
        sums, counts = np.zeros(_GRID), np.zeros(_GRID)
        for luma in crops:
            before, after = (luma[:-1], luma[1:]) if axis == 0 else (luma[:, :-1], luma[:, 1:])
            steps = np.minimum(cv2.absdiff(before, after), _MOST_STEP).mean(axis=1 - axis)
            places = np.arange(len(steps)) % _GRID
            sums += np.bincount(places, steps, _GRID)
            counts += np.bincount(places, minlength=_GRID)
        means = sums / counts + _ROUNDING
        highest = means.argmax()
        ratios.append(means[highest] / np.delete(means, highest).mean())
    return float(np.mean(ratios))


def _as_seen(luma: Luma) -> Luma:
    factor = (_SEEN_PIXELS / luma.size) ** 0.5
    if factor >= 1:
        return luma
    sides = [max(1, round(side * factor)) for side in luma.shape[::-1]]
    return cv2.resize(luma, sides, interpolation=cv2.INTER_AREA)


def _crops(luma: Luma) -> list[Luma]:
    """Cuts crops that are spread evenly over a picture, each beginning on the same grid."""
    if luma.size <= (_CROPS * _CROP) ** 2:
        return [luma]
    tops, lefts = (
        np.unique(np.linspace(0, max(side - _CROP, 0), _CROPS).astype(int) // _GRID * _GRID)
        for side in luma.shape
    )
    return [luma[top : top + _CROP, left : left + _CROP] for top in tops for left in lefts]
