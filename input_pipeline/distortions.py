"""Synthetic degradation of photographs: kind x five levels, over a whole image or a region.

Levels marked RankIQA and TID2013 are those of the papers, made for large photographs:
Liu, van de Weijer, Bagdanov, RankIQA, ICCV 2017, supplement; Ponomarenko et al., Image database
TID2013, 2015. The others were chosen by eye so that level 1 is just visible and level 5 ruins a
picture.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

Photo = UInt8[np.ndarray, "height width 3"]

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
    """

    apply: Callable[[Photo, float, np.random.Generator], Photo]
    strengths: tuple[float, float, float, float, float]
    unit: str


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


def _blur(image: Photo, sigma: float, rng: np.random.Generator) -> Photo:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _move(image: Photo, length: float, rng: np.random.Generator) -> Photo:
    """Smears along a straight path in a random direction."""
    angle = rng.uniform(0, np.pi)
    side = int(np.ceil(length)) | 1
    steps = np.linspace(-0.5, 0.5, 8 * side) * (length - 1)
    # Bilinear weights of densely sampled points draw an anti-aliased line of even density.
    kernel = np.zeros((side + 2, side + 2))
    rows = side / 2 + 0.5 + steps * np.sin(angle)
    columns = side / 2 + 0.5 + steps * np.cos(angle)
    for row_shift in (0, 1):
        for column_shift in (0, 1):
            row, column = np.floor(rows) + row_shift, np.floor(columns) + column_shift
            weight = (1 - np.abs(rows - row)) * (1 - np.abs(columns - column))
            np.add.at(kernel, (row.astype(int), column.astype(int)), weight)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _add_noise(image: Photo, variance: float, rng: np.random.Generator) -> Photo:
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return _round(image + 255 * np.float32(np.sqrt(variance)) * noise)


def _compress(image: Photo, quality: float, rng: np.random.Generator) -> Photo:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _expose(image: Photo, stops: float, rng: np.random.Generator) -> Photo:
    """Multiplies the light by 2^stops; what leaves the range is lost, as in a camera."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear * 2.0**stops, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _round(255 * encoded)[image]


def _lose_contrast(image: Photo, factor: float, rng: np.random.Generator) -> Photo:
    mean = image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return _round(mean + np.float32(factor) * (image - mean))


def _quantise(image: Photo, step: float, rng: np.random.Generator) -> Photo:
    """Rounds each channel to multiples of a step: false contours and lost shades."""
    return _round(np.rint(np.arange(256) / step) * step)[image]


def _round(values: np.ndarray) -> UInt8[np.ndarray, "..."]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


DISTORTIONS: dict[str, Distortion] = {
    # RankIQA.
    "gaussian_blur": Distortion(_blur, (1.2, 2.5, 6.5, 15.2, 33.2), "sigma in pixels"),
    "motion_blur": Distortion(_move, (5, 9, 17, 33, 65), "length of the path in pixels"),
    # RankIQA.
    "white_noise": Distortion(
        _add_noise, (2**-10, 2**-7.5, 2**-5.5, 2**-3.5, 1), "variance of an image in 0 to 1"
    ),
    # RankIQA; MATLAB's quality is libjpeg's.
    "jpeg": Distortion(_compress, (43, 12, 7, 4, 0), "libjpeg quality"),
    "over_exposure": Distortion(_expose, (0.7, 1.4, 2.5, 3.3, 4), "stops"),
    "under_exposure": Distortion(_expose, (-1, -2, -3.2, -4.5, -6), "stops"),
    # TID2013; the fifth level goes on.
    "contrast_loss": Distortion(_lose_contrast, (0.85, 0.7, 0.55, 0.4, 0.2), "factor"),
    # TID2013; the fifth level goes on.
    "colour_quantisation": Distortion(_quantise, (27, 39, 55, 76, 110), "step in 0 to 255"),
}
