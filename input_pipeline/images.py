"""Image files in, uint8 RGB arrays out: every format, mode and orientation ends in the same form.

Pillow reads every format, but the pixels of an ordinary JPEG come from OpenCV: both have them from
libjpeg-turbo, so they are the same, but OpenCV writes them straight into the array. Pillow's format
classes are called directly and not through `Image.open`, so that only the formats named here are
ever tried and the pixel limit is this module's own argument, not a process-wide setting of
Pillow's. Colour profiles are not applied.

Every reader can give the picture smaller. A JPEG is then decoded at that size, which spares most of
the work; other formats are decoded whole and averaged.
"""

import io
import os
from typing import BinaryIO

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from input_pipeline.file_names import one_line, slash_hint
from input_pipeline.heif import find_reader
from input_pipeline.prepared import open_file

DEFAULT_MAX_PIXELS = 250_000_000
SHRINKS = (1, 2, 4, 8)
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".heic", ".heif", ".hif", ".avif"),
)

_SIGNATURES = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
    (b"II*\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", TiffImagePlugin.TiffImageFile),
    (b"II+\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00+", TiffImagePlugin.TiffImageFile),
)
_ORIENTATION_TAG = 0x0112
# Shrink -> how OpenCV decodes. Its names for small sizes have the bit of BGR, which excludes RGB.
_JPEG_FLAGS = {
    shrink: size & ~cv2.IMREAD_COLOR | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    for shrink, size in {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }.items()
}
# EXIF orientation -> what turns the stored picture upright.
_TURNS = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.transpose(cv2.rotate(pixels, cv2.ROTATE_180)),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_PHOTOMETRIC_TAG = 262
_WHITE_IS_ZERO = 0


class ImageError(ValueError):
    """A file that cannot be used as an image; the message names it and says what to do.

    Args:
        message: becomes text of one line, whatever the file is called.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def decode(
    data: bytes, *, max_pixels: int, shrink: int = 1, name: str = "image"
) -> UInt8[np.ndarray, "height width 3"]:
    """Turns the bytes of an image file into upright RGB.

    Grey is repeated over the three channels; CMYK is multiplied out (Adobe's inverted JPEGs
    included). Transparent pixels are laid over white, the page that cut-out pictures are made
    for, because that is what a person looking at the file would judge. 16-bit samples keep their
    high byte, which returns an 8-bit picture that was stored as 16 bits unchanged. Of several
    frames or pages the first is read.

    Args:
        data: the whole file: JPEG, PNG, WebP, BMP, TIFF or GIF, and HEIC or AVIF where what reads
            them is installed.
        max_pixels: larger images are refused from their header, before memory is taken.
        shrink: one of `SHRINKS`: the sides become so many times smaller, rounded up.
        name: what to call the image in an error.

    Returns:
        [height, width, 3] uint8 in RGB order, after EXIF orientation; contiguous, read-only.

    Raises:
        ImageError: if the bytes are no image, damaged, too large, or of a kind without a known
            display range (floating point, 32-bit or signed integers).
    """
    image = open_header(io.BytesIO(data), max_pixels=max_pixels, name=name)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ImageError(
            f"{name}: PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set in this process, which lets "
            "damaged files pass as grey areas; set it back to False."
        )
    try:
        orientation = orientation_of(image)
        pixels = _decode_jpeg(data, image, shrink) if image.format == "JPEG" else None
        if pixels is None:
            pixels = np.ascontiguousarray(shrink_by(_upright_rgb(image), shrink))
        elif orientation > 1:
            pixels = _TURNS[orientation](pixels)
    except Exception as error:  # Pillow raises a dozen types for damaged files.
        raise ImageError(
            f"{name}: the file is damaged or cut short ({error}); copy or export it again."
        ) from error
    pixels.flags.writeable = False  # Caches share it.
    return pixels


def from_pillow(
    image: Image.Image, *, max_pixels: int, name: str = "image"
) -> UInt8[np.ndarray, "height width 3"]:
    """Turns a Pillow image into upright RGB, by the rules of `decode`.

    Args:
        image: of any mode; of several frames the one it stands at.
        max_pixels: larger images are refused.
        name: what to call the image in an error.

    Returns:
        [height, width, 3] uint8.

    Raises:
        ImageError: as `decode`.
    """
    _check_header(image, max_pixels, name)
    try:
        return np.ascontiguousarray(_upright_rgb(image))
    except Exception as error:  # Pillow raises a dozen types for damaged files.
        raise ImageError(f"{name}: this Pillow image cannot be read ({error}).") from error


def load(
    path: str | os.PathLike, *, max_pixels: int = DEFAULT_MAX_PIXELS, shrink: int = 1
) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file as upright RGB.

    Args:
        path: the file; its suffix does not matter, its content does.
        max_pixels: larger images are refused before they are decoded.
        shrink: as in `decode`.

    Returns:
        [height, width, 3] uint8; see `decode`.

    Raises:
        ImageError: as `decode`, and if the file cannot be read.
    """
    try:
        with open_file(path) as file:
            data = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode(data, max_pixels=max_pixels, shrink=shrink, name=str(path))


def read_size(
    path: str | os.PathLike, *, max_pixels: int = DEFAULT_MAX_PIXELS, shrink: int = 1
) -> tuple[int, int]:
    """Reads height and width from a file's header, without decoding the picture.

    Args:
        path: the file.
        max_pixels: larger images are refused.
        shrink: as in `decode`.

    Returns:
        (height, width) in pixels after EXIF orientation: the shape that `load` returns.

    Raises:
        ImageError: as `load`, except for damage that only decoding can find.
    """
    try:
        with open_file(path) as file:
            image = open_header(file, max_pixels=max_pixels, name=str(path))
            width, height = image.size
            # Pillow has already turned the size of a TIFF.
            is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
            is_turned = orientation_of(image) >= 5 and not is_tiff
    except OSError as error:
        raise _unreadable(path, error) from error
    height, width = shrunk_sides(height, width, shrink)
    return (width, height) if is_turned else (height, width)


def shrunk_sides(height: int, width: int, shrink: int) -> tuple[int, int]:
    """Gives the sides of a picture made so many times smaller."""
    return -(-height // shrink), -(-width // shrink)


def shrink_by(
    pixels: UInt8[np.ndarray, "height width 3"], shrink: int
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Makes a picture smaller: each pixel is the mean of a square, the last ones of what is there.

    Args:
        pixels: RGB.
        shrink: sides become so many times smaller, rounded up; 1 returns the picture itself.
    """
    if shrink == 1:
        return pixels
    height, width = pixels.shape[:2]
    rows, columns = shrunk_sides(height, width, shrink)
    # As a JPEG is filled up to whole blocks.
    below, right = rows * shrink - height, columns * shrink - width
    pixels = np.ascontiguousarray(pixels)
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)


def open_header(file: BinaryIO, *, max_pixels: int, name: str) -> ImageFile.ImageFile:
    """Reads the header and refuses what must not or cannot be decoded."""
    start = file.read(64)
    file.seek(0)
    if not start:
        raise ImageError(f"{name}: the file is empty (zero bytes); copy or export it again.")
    image_class = next((kind for mark, kind in _SIGNATURES if start.startswith(mark)), None)
    try:
        image_class = image_class or find_reader(start)
    except LookupError as error:
        raise ImageError(f"{name}: {error}, or save it as JPEG or PNG.") from error
    if image_class is None:
        raise ImageError(
            f"{name}: not an image that can be read, whatever its suffix says; "
            "save it as JPEG, PNG, WebP, BMP or TIFF."
        )
    try:
        image = image_class(file)
    except Exception as error:  # Pillow raises a dozen types for damaged files.
        raise ImageError(
            f"{name}: the file's header is damaged or of an unknown kind ({error}); "
            "export it again as JPEG, PNG, WebP, BMP or 8-bit TIFF."
        ) from error
    _check_header(image, max_pixels, name)
    return image


def _check_header(image: Image.Image, max_pixels: int, name: str) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}x{height} pixels are more than the limit of {max_pixels}; "
            "scale the image down, or raise max_pixels if the file can be trusted."
        )
    is_negative = image.mode.startswith("I;16") and (
        getattr(image, "tag_v2", {}).get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
    )
    if image.mode in ("I", "F") or is_negative:
        raise ImageError(
            f"{name}: holds samples without a known display range (floating point, 32-bit, "
            "signed, or white-is-zero 16-bit); save it with 8 or 16 unsigned bits."
        )


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 (upright) to 8; from 5 on, height and width are swapped."""
    # The base class's method, since the one of PNG decodes the pixels to look for EXIF after
    # them; so EXIF there counts neither for the size nor for the picture.
    orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, 9) else 1


def _decode_jpeg(
    data: bytes, image: ImageFile.ImageFile, shrink: int
) -> UInt8[np.ndarray, "height width 3"] | None:
    """Decodes a grey or colour JPEG as it is stored; None leaves it, or its error, to Pillow."""
    if image.mode not in ("L", "RGB"):
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _JPEG_FLAGS[shrink])
    except cv2.error:  # More pixels than OpenCV's own limit.
        return None
    expected = shrunk_sides(image.height, image.width, shrink)
    return pixels if pixels is not None and pixels.shape[:2] == expected else None


def _upright_rgb(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    return _to_rgb(ImageOps.exif_transpose(image) if orientation_of(image) > 1 else image)


def _to_rgb(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _unreadable(path: str | os.PathLike, error: OSError) -> ImageError:
    missing = f"there is no such file; check the path{slash_hint(path)}"
    if os.path.islink(path):
        missing = "this is a link to a file that is not there; mend or remove it"
    reasons = {
        FileNotFoundError: missing,
        IsADirectoryError: "this is a folder, not an image; name the files in it",
        PermissionError: "no permission to read it; change its mode or owner",
    }
    reason = reasons.get(type(error), f"it cannot be read ({error.strerror or error})")
    return ImageError(f"{path}: {reason}.")
