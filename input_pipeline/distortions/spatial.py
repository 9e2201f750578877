"""Degradations that move, replace or recode pixels: (image, strength, rng) -> the same shape.

They stay on the host: codecs are libraries, and the others copy pixels to places that depend on
the strength.
"""

import io

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, Jpeg2KImagePlugin, WebPImagePlugin  # noqa: F401

# Else the first thread that recodes a picture would import the plugins of all formats.
Image.preinit()

Photo = UInt8[np.ndarray, "height width 3"]

# Sides of TID2013's blocks (32 pixels) and patches (15), as parts of its pictures' shorter side,
# 384 pixels: a tile is degraded like a picture of that size.
_BLOCK_SHARE, _PATCH_SHARE = 32 / 384, 15 / 384
# Bytes of an OpenJPEG stream that say nothing of the picture. Of a small tile nothing else would be
# left at high ratios, and levels would not differ.
_JPEG2000_HEADER = 200


def blur(image: Photo, sigma: float, rng: np.random.Generator) -> Photo:
    """Blurs by a Gaussian."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def move(image: Photo, length: float, rng: np.random.Generator) -> Photo:
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


def shrink(image: Photo, factor: float, rng: np.random.Generator) -> Photo:
    """Makes the image smaller by a factor, and as large as it was."""
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def shift_colours(image: Photo, pixels: float, rng: np.random.Generator) -> Photo:
    """Moves red by some pixels and blue by half as many the other way, in a random direction."""
    direction = np.array([np.sin(angle := rng.uniform(0, 2 * np.pi)), np.cos(angle)])
    shifted = image.copy()
    for channel, amount in ((0, pixels), (2, -pixels / 2)):
        down, right = np.rint(amount * direction).astype(int)
        rows = np.clip(np.arange(image.shape[0]) - down, 0, image.shape[0] - 1)
        columns = np.clip(np.arange(image.shape[1]) - right, 0, image.shape[1] - 1)
        shifted[..., channel] = image[rows[:, None], columns, channel]
    return shifted


def lose_blocks(image: Photo, share: float, rng: np.random.Generator) -> Photo:
    """Paints square blocks of one random colour each over a share of the image."""
    damaged, side = image.copy(), _side(image, _BLOCK_SHARE)
    for row, column, *colour in _places(image, side, share, rng, values=3):
        damaged[row : row + side, column : column + side] = np.multiply(colour, 255).astype(int)
    return damaged


def misplace_patches(image: Photo, share: float, rng: np.random.Generator) -> Photo:
    """Replaces small patches over a share of the image by what is near them."""
    damaged, side = image.copy(), _side(image, _PATCH_SHARE)
    last = np.array(image.shape[:2]) - side
    for row, column, angle in _places(image, side, share, rng, values=1):
        step = 1.5 * side * np.array([np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)])
        top, left = np.clip(np.rint([row, column] + step).astype(int), 0, last)
        damaged[row : row + side, column : column + side] = image[
            top : top + side, left : left + side
        ]
    return damaged


def compress_jpeg(image: Photo, quality: float, rng: np.random.Generator) -> Photo:
    """Compresses with libjpeg."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # What OpenCV has just written it can read.
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def compress_webp(image: Photo, quality: float, rng: np.random.Generator) -> Photo:
    """Compresses with libwebp, with losses."""
    return _recode(image, format="WEBP", quality=int(quality), method=2)


def compress_jpeg2000(image: Photo, ratio: float, rng: np.random.Generator) -> Photo:
    """Compresses with OpenJPEG to one in `ratio` bytes, without the header."""
    rate = image.nbytes / (image.nbytes / ratio + _JPEG2000_HEADER)
    return _recode(
        image, format="JPEG2000", no_jp2=True, quality_mode="rates", quality_layers=[rate],
        irreversible=True,
    )  # fmt: skip


def dither(image: Photo, colours: float, rng: np.random.Generator) -> Photo:
    """Keeps so many colours and spreads what is lost over the neighbours (Floyd, Steinberg)."""
    picture = Image.fromarray(image)
    palette = picture.quantize(int(colours), method=Image.Quantize.MEDIANCUT)
    dithered = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def _recode(image: Photo, **options) -> Photo:
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return np.array(Image.open(file).convert("RGB"))


def _side(image: Photo, share: float) -> int:
    shorter = min(image.shape[:2])
    return int(np.clip(round(share * shorter), 1, shorter))


def _places(image: Photo, side: int, share: float, rng: np.random.Generator, values: int):
    """Yields row, column and further values of squares that cover a share of the image.

    More squares begin with the same ones, so that a level adds to the one before.
    """
    height, width = image.shape[:2]
    count = max(1, round(share * height * width / side**2))
    for row, column, *rest in rng.random((count, 2 + values)):
        yield int(row * (height - side + 1)), int(column * (width - side + 1)), *rest
