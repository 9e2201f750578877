"""Synthetic degradation of photographs: kind x five levels, over a whole image or a region.

Levels marked RankIQA and TID2013 are those of the papers, made for photographs of some 500 pixels:
Liu, van de Weijer, Bagdanov, RankIQA, ICCV 2017, supplement; Ponomarenko et al., Image database
TID2013, 2015; the latter has four, and the fifth goes on. The others were chosen by eye so that
level 1 is just visible and level 5 ruins a picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from input_pipeline.distortions import pixel, spatial
from input_pipeline.distortions.spatial import Photo

LEVELS = (1, 2, 3, 4, 5)
# A region fades in over this many pixels, so that its outline is not a defect of its own.
SOFT_EDGE = 8


@dataclass(frozen=True)
class Distortion:
    """One kind of degradation.

    Attributes:
        apply: (image, strength, rng) -> image of the same shape.
        strengths: for levels 1 to 5.
        unit: of the strengths.
        on_device: the same on arrays of any library, as in `pixel_distortions`; None where only
            the host can do it.
    """

    apply: Callable[[Photo, float, np.random.Generator], Photo]
    strengths: tuple[float, float, float, float, float]
    unit: str
    on_device: Callable[[Any, Any, Any], Any] | None = None


def distort(image: Photo, name: str, level: int, rng: np.random.Generator) -> Photo:
    """Degrades a whole image.

    Args:
        image: RGB.
        name: a key of `DISTORTIONS`.
        level: 1 (mild) to 5 (severe).
        rng: used by the kinds that have chance in them (noise, direction of motion).

    Returns:
        A new image of the same shape.

    Raises:
        ValueError: for an unknown name or level, or an image that is not uint8 RGB.
    """
    if name not in DISTORTIONS:
        raise ValueError(f"No distortion is called {name!r}; choose from {', '.join(DISTORTIONS)}.")
    if level not in LEVELS:
        raise ValueError(f"The level is {level!r}; choose from {', '.join(map(str, LEVELS))}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"The image is {image.dtype} of shape {image.shape}; pass uint8 [height, width, 3]."
        )
    distortion = DISTORTIONS[name]
    return distortion.apply(image, distortion.strengths[LEVELS.index(level)], rng)


def distort_region(
    image: Photo,
    name: str,
    level: int,
    mask: Bool[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> Photo:
    """Degrades only the masked pixels; all others stay as they are, bit for bit.

    Args:
        image: RGB.
        name: a key of `DISTORTIONS`.
        level: 1 (mild) to 5 (severe).
        mask: True where to degrade; the degradation fades in over `SOFT_EDGE` pixels inside.
        rng: as for `distort`.

    Returns:
        A new image of the same shape.

    Raises:
        ValueError: as `distort`, and if the mask is empty or has another shape.
    """
    if mask.shape != image.shape[:2] or mask.dtype != bool or not mask.any():
        raise ValueError(
            f"The region's mask is {mask.dtype} of shape {mask.shape} with {mask.sum()} pixels "
            f"set; pass a bool mask of shape {image.shape[:2]} with at least one pixel set."
        )
    degraded = distort(image, name, level, rng)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weight = np.minimum(depth / SOFT_EDGE, 1)[..., None]
    return _round(image * (1 - weight) + degraded * weight)


def _round(values: np.ndarray) -> UInt8[np.ndarray, "..."]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _pixelwise(change: Callable[[Any, Any, Any], Any], strengths: tuple, unit: str) -> Distortion:
    """Makes a kind that the loader and the training step do by the same function."""

    def apply(image, strength, rng):
        return _round(change(image.astype(np.float32), np.float32(strength), rng))

    return Distortion(apply, strengths, unit, change)


_VARIANCE = "variance of an image in 0 to 1"

DISTORTIONS: dict[str, Distortion] = {
    # RankIQA.
    "gaussian_blur": Distortion(
        spatial.blur, (1.2, 2.5, 6.5, 15.2, 33.2), "sigma in pixels", pixel.blur_by_matrices
    ),
    "motion_blur": Distortion(spatial.move, (5, 9, 17, 33, 65), "length of the path in pixels"),
    "resampling": Distortion(spatial.shrink, (1.5, 2.5, 4, 7, 12), "factor to a smaller image"),
    # RankIQA.
    "white_noise": _pixelwise(
        pixel.add_white_noise, (2**-10, 2**-7.5, 2**-5.5, 2**-3.5, 1), _VARIANCE
    ),
    # TID2013, there over all three of YCbCr.
    "chroma_noise": _pixelwise(
        pixel.add_chroma_noise, (0.014, 0.0198, 0.0343, 0.0524, 0.1), _VARIANCE
    ),
    # TID2013.
    "multiplicative_noise": _pixelwise(
        pixel.add_multiplicative_noise, (0.05, 0.09, 0.13, 0.2, 0.35), "variance of the factor"
    ),
    # TID2013.
    "impulse_noise": _pixelwise(
        pixel.add_impulse_noise, (0.005, 0.01, 0.05, 0.1, 0.2), "share of the pixels"
    ),
    # RankIQA; MATLAB's quality is libjpeg's.
    "jpeg": Distortion(spatial.compress_jpeg, (43, 12, 7, 4, 0), "libjpeg quality"),
    # RankIQA.
    "jpeg2000": Distortion(
        spatial.compress_jpeg2000, (52, 150, 343, 600, 1200), "compression ratio"
    ),
    "webp": Distortion(spatial.compress_webp, (50, 25, 10, 4, 0), "libwebp quality"),
    "over_exposure": _pixelwise(pixel.expose, (0.7, 1.4, 2.5, 3.3, 4), "stops"),
    "under_exposure": _pixelwise(pixel.expose, (-1, -2, -3.2, -4.5, -6), "stops"),
    # TID2013.
    "mean_shift": _pixelwise(pixel.shift_mean, (15, 30, 45, 60, 80), "grey levels of 0 to 255"),
    # TID2013.
    "contrast_loss": _pixelwise(pixel.scale_contrast, (0.85, 0.7, 0.55, 0.4, 0.2), "factor"),
    # TID2013.
    "contrast_gain": _pixelwise(pixel.scale_contrast, (1.2, 1.4, 1.6, 1.8, 2.4), "factor"),
    # TID2013, with a milder first.
    "saturation": _pixelwise(pixel.scale_saturation, (0.7, 0.4, 0, -0.4, -0.8), "factor"),
    # TID2013.
    "colour_quantisation": _pixelwise(pixel.quantise, (27, 39, 55, 76, 110), "step in 0 to 255"),
    # TID2013.
    "dither": Distortion(spatial.dither, (64, 32, 16, 8, 4), "colours"),
    # TID2013.
    "colour_shift": Distortion(spatial.shift_colours, (2, 6, 10, 14, 20), "pixels, of red"),
    # TID2013's 2 to 16 blocks of a picture of 512 x 384 pixels, as shares.
    "block_errors": Distortion(
        spatial.lose_blocks, (0.0104, 0.0208, 0.0417, 0.0833, 0.16), "share of the image"
    ),
    # TID2013's 30 to 300 patches, as shares.
    "misplaced_patches": Distortion(
        spatial.misplace_patches, (0.034, 0.08, 0.17, 0.34, 0.68), "share of the image"
    ),
}
