"""Image files in, uint8 RGB arrays out: every format, mode and orientation ends in the same form.

Pillow reads every format, but the pixels of a JPEG come from simplejpeg: both have them from
libjpeg-turbo, so they are the same, but simplejpeg writes them straight into the array and says
what the decoder remarked. Pillow's format classes are called directly and not through
`Image.open`, so that only the formats named here are ever tried and the pixel limit is this
module's own argument, not a process-wide setting of Pillow's. Colours are converted to sRGB where
the file says that they are others.

Every reader can give the picture smaller. A JPEG is then decoded at that size, or at one above it
that the decoder knows, which spares most of the work and of the memory; other formats are decoded
whole and averaged.
"""

import io
import os
from collections.abc import Callable
from typing import NamedTuple, TypeGuard

import cv2
import numpy as np
import simplejpeg
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

from input_pipeline.files.color_profiles import BadProfile, is_srgb, to_srgb
from input_pipeline.files.file_names import one_line, slash_hint
from input_pipeline.files.heif import find_reader
from input_pipeline.files.png_chunks import SIGNATURE, png_profile, read_head, without_texts
from input_pipeline.files.prepared import open_file
from input_pipeline.files.reduction import Reduction, average_areas, shrink_by
from input_pipeline.files.tiff_parts import (
    BITS,
    COMPRESSION,
    EXTRA,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SAMPLES,
    UNCOMPRESSED,
    is_by_plane,
    split_planes,
)

# Goes up when some file gives other pixels than before, so that nothing kept of it is believed.
DECODING = 2
# Else the first thread that saves a picture would import the plugins of further formats.
Image.preinit()

DEFAULT_MAX_PIXELS = 250_000_000
UNREDUCED = Reduction()
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".heic", ".heif", ".hif", ".avif"),
)

_SIGNATURES = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (SIGNATURE, PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
    (b"II*\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", TiffImagePlugin.TiffImageFile),
    (b"II+\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00+", TiffImagePlugin.TiffImageFile),
)
_ORIENTATION_TAG = 0x0112
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
_PNG_BITS = 24  # Where the header says how many a sample has.
_LUMA, _SUBSAMPLING_TAG = 6, 530
_WHITE_IS_ZERO, _UNSIGNED, _UNDEFINED, _PREMULTIPLIED = 0, 1, 4, 1
# What libjpeg remarks on headers, and no pixel suffers from.
_HARMLESS = ("Warning: unknown JFIF", "Unknown Adobe color transform", "Invalid SOS parameters")

# Is told what is wrong with a picture that is decoded all the same; a sentence without its name.
Warn = Callable[[str], None]


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes:
        height, width: in pixels, after EXIF orientation.
        has_scales: the decoder can give it smaller and never holds it whole.
    """

    height: int
    width: int
    has_scales: bool


class ImageError(ValueError):
    """A file that cannot be used as an image; the message names it and says what to do.

    Args:
        message: becomes text of one line, whatever the file is called.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def ignore(warning: str) -> None:
    """Takes a warning that nobody asked for."""


def decode(
    data: bytes,
    *,
    max_pixels: int,
    reduction: Reduction = UNREDUCED,
    name: str = "image",
    warn: Warn = ignore,
) -> UInt8[np.ndarray, "height width 3"]:
    """Turns the bytes of an image file into upright RGB.

    Grey is repeated over the three channels; CMYK is multiplied out (Adobe's inverted JPEGs
    included). Colours that are not sRGB by an ICC profile, or by the chunks of a PNG, are converted
    to it with 8 bits. Transparent pixels are laid over white, the page that cut-out pictures are
    made for, because that is what a person looking at the file would judge. 16-bit samples keep
    their high byte, which returns an 8-bit picture that was stored as 16 bits unchanged. Of several
    frames or pages the first is read.

    A JPEG that is damaged inside is decoded as far as it goes: `warn` is told, as it is of a
    profile that cannot be used.

    Args:
        data: the whole file: JPEG, PNG, WebP, BMP, TIFF or GIF, and HEIC or AVIF where what reads
            them is installed.
        max_pixels: larger images are refused from their header, before memory is taken.
        reduction: how much smaller the picture is made.
        name: what to call the image in an error.
        warn: is told in a sentence what is wrong with a picture that is decoded all the same.

    Returns:
        [height, width, 3] uint8 in RGB order, after EXIF orientation; contiguous, read-only.

    Raises:
        ImageError: if the bytes are no image, damaged, too large, or of a kind without a known
            display range (floating point, 32-bit or signed integers).
    """
    if data.startswith(SIGNATURE):
        file = io.BytesIO(without_texts(data))
    else:
        file = io.BytesIO(data)
    image = open_header(file, max_pixels=max_pixels, name=name)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ImageError(
            f"{name}: PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set in this process, which lets "
            "damaged files pass as grey areas; set it back to False."
        )
    if image.format == "PNG":
        _scale_transparent_color(image, data[_PNG_BITS], name)
    try:
        profile = _read_profile(data, image, warn)
        if image.format == "JPEG":
            pixels = _decode_jpeg(data, image, reduction, profile, warn)
            pixels = _turn(pixels, orientation_of(image))
        elif _is_by_plane(image):
            pixels = _to_rgb(_join_planes(data, image), profile, warn)
            pixels = reduction.apply(_turn(pixels, orientation_of(image)))
        else:
            pixels = reduction.apply(_upright_rgb(image, profile, warn))
    except Exception as error:  # Pillow raises a dozen types for damaged files.
        raise ImageError(
            f"{name}: the file is damaged or cut short ({error}); copy or export it again."
        ) from error
    pixels = np.ascontiguousarray(pixels)
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
    if _is_by_plane(image):
        raise ImageError(f"{name}: Pillow misreads TIFFs with separate planes; give the path.")
    try:
        profile = _unless_srgb(image.info.get("icc_profile"), ignore)
        return np.ascontiguousarray(_upright_rgb(image, profile, ignore))
    except Exception as error:  # Pillow raises a dozen types for damaged files.
        raise ImageError(f"{name}: this Pillow image cannot be read ({error}).") from error


def load(
    path: str | os.PathLike,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    reduction: Reduction = UNREDUCED,
    warn: Warn = ignore,
) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file as upright RGB.

    Args:
        path: the file; its suffix does not matter, its content does.
        max_pixels: larger images are refused before they are decoded.
        reduction, warn: as in `decode`.

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
    return decode(data, max_pixels=max_pixels, reduction=reduction, name=str(path), warn=warn)


def read_header(path: str | os.PathLike, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Header:
    """Reads what a file's header says, without decoding the picture.

    Args:
        path: the file.
        max_pixels: larger images are refused.

    Raises:
        ImageError: as `load`, except for damage that only decoding can find.
    """
    try:
        with open_file(path) as opened:
            is_png = opened.read(len(SIGNATURE)) == SIGNATURE
            opened.seek(0)
            file = io.BytesIO(without_texts(read_head(opened))) if is_png else opened
            image = open_header(file, max_pixels=max_pixels, name=str(path))
            width, height = image.size
            has_scales = image.format == "JPEG" and image.mode != "CMYK"
            # Pillow has already turned the size of a TIFF.
            is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
            is_turned = orientation_of(image) >= 5 and not is_tiff
    except OSError as error:
        raise _unreadable(path, error) from error
    if is_turned:
        height, width = width, height
    return Header(height, width, has_scales)


def open_header(
    file: io.BytesIO | io.BufferedReader, *, max_pixels: int, name: str
) -> ImageFile.ImageFile:
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
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    if image.mode in ("I", "F") or (is_tiff and _has_no_range(image)):
        raise ImageError(
            f"{name}: holds samples without a known display range (floating point, 32-bit, "
            "signed, or white-is-zero 16-bit); save it with 8 or 16 unsigned bits."
        )
    if is_tiff:
        _check_tiff(image, name)


def _has_no_range(image: TiffImagePlugin.TiffImageFile) -> bool:
    tags = image.tag_v2
    is_negative = image.mode.startswith("I;16") and tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO
    formats = {*np.atleast_1d(tags.get(SAMPLE_FORMAT, _UNSIGNED)).tolist()}
    return is_negative or not formats <= {_UNSIGNED, _UNDEFINED}


def _check_tiff(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuses what Pillow would read as something else, or not at all."""
    tags = image.tag_v2
    bits = {*np.atleast_1d(tags.get(BITS, 1)).tolist()}
    is_luma = tags.get(PHOTOMETRIC) == _LUMA
    # Pillow takes uncompressed samples for as many of each kind, which is not what the format
    # says of a file that says nothing.
    is_odd = is_luma and tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
    is_odd &= tags.get(_SUBSAMPLING_TAG, (2, 2)) != (1, 1)
    if is_by_plane(image):
        is_odd |= is_luma or (tags.get(SAMPLES, 1) > 1 and not bits <= {8, 16})
    if image.mode == "LAB" or len(bits) > 1 or is_odd:
        raise ImageError(
            f"{name}: a TIFF of a kind that cannot be read (CIELab; YCbCr without compression or "
            "in planes; planes of unusual bits); save it as RGB with 8 or 16 bits."
        )


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 (upright) to 8; from 5 on, height and width are swapped."""
    # The base class's method, since the one of PNG decodes the pixels to look for EXIF after
    # them; so EXIF there counts neither for the size nor for the picture.
    orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, 9) else 1


def _scale_transparent_color(image: ImageFile.ImageFile, bits: int, name: str) -> None:
    """Puts the transparent colour of a PNG in the levels that Pillow decodes its samples to."""
    color = image.info.get("transparency")
    if isinstance(color, tuple) and bits == 16:
        raise ImageError(
            f"{name}: a PNG with one transparent colour of 3×16 bits cannot be read; save it with "
            "8 bits or with an alpha channel."
        )
    if isinstance(color, int) and bits < 8 and image.mode != "P":
        image.info["transparency"] = color * 255 // (2**bits - 1)


def _decode_jpeg(
    data: bytes,
    image: ImageFile.ImageFile,
    reduction: Reduction,
    profile: bytes | None,
    warn: Warn,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Decodes a JPEG as it is stored, and makes it smaller."""
    if image.mode == "CMYK":
        # Whoever writes such JPEGs writes them inverted, as Adobe did.
        inks = 255 - _jpeg_pixels(data, image, 1, warn)
        inks = Image.frombytes("CMYK", image.size, inks.tobytes())
        return reduction.apply(_to_rgb(inks, profile, warn))
    if max(image.size) > 8:
        shrink = reduction.codec_shrink(image.height, image.width)
        pixels = _jpeg_pixels(data, image, shrink, warn)
        pixels = average_areas(pixels, *reduction.sides(image.height, image.width))
    else:
        # So few pixels have several sizes that come to as many.
        pixels = reduction.apply(_jpeg_pixels(data, image, 1, warn))
    if profile is None:
        return pixels
    stored = Image.fromarray(pixels[..., 0] if image.mode == "L" else pixels)
    return _to_rgb(stored, profile, warn)


def _jpeg_pixels(
    data: bytes, image: ImageFile.ImageFile, shrink: int, warn: Warn
) -> UInt8[np.ndarray, "height width channel"]:
    """Decodes a JPEG to RGB, or to the inks that it stores, even if it is damaged inside.

    Raises:
        OSError, ValueError: it cannot be decoded to its end.
    """
    rows, columns = Reduction(shrink).sides(image.height, image.width)
    colorspace = "CMYK" if image.mode == "CMYK" else "RGB"
    options: dict[str, str | int] = {"colorspace": colorspace}
    if shrink > 1:
        options |= {"min_height": rows, "min_width": columns}
    try:
        return simplejpeg.decode_jpeg(data, strict=True, **options)
    except ValueError as error:
        remark = str(error)
        if remark.startswith("Premature end of JPEG file"):
            raise
    shape = rows, columns, len(colorspace)
    try:
        # A decoder that gives up on the way leaves what it was given: on black as on white.
        black, white = (
            simplejpeg.decode_jpeg(
                data, strict=False, buffer=np.full(shape, level, np.uint8), **options
            )
            for level in (0, 255)
        )
        if (black[-1] != white[-1]).any():
            raise ValueError(remark)
        pixels = black
    except ValueError:  # Remarks on the header also stop it; Pillow makes none.
        pixels = np.asarray(image if image.mode == "CMYK" else image.convert("RGB"))
        pixels = 255 - pixels if image.mode == "CMYK" else shrink_by(pixels, shrink)
    if not remark.startswith(_HARMLESS):
        warn(
            f"the file is damaged inside ({remark}), and parts of the picture may be wrong; copy "
            "or export it again."
        )
    return pixels


def _is_by_plane(image: Image.Image) -> TypeGuard[TiffImagePlugin.TiffImageFile]:
    return isinstance(image, TiffImagePlugin.TiffImageFile) and is_by_plane(image)


def _join_planes(data: bytes, image: TiffImagePlugin.TiffImageFile) -> Image.Image:
    """Decodes each channel of a TIFF that has them one after the other as a picture of its own."""
    planes = [TiffImagePlugin.TiffImageFile(io.BytesIO(p)) for p in split_planes(data, image)]
    if len(planes) == 1:
        return planes[0]
    mode = "L" if image.mode.startswith("I;16") else image.mode
    # What is stored beyond the colours and their opacity is no part of the picture.
    planes = [_to_8_bits(plane) for plane in planes[: Image.getmodebands(mode)]]
    if len(planes) == 1:
        return planes[0]
    if image.mode == "RGBA" and image.tag_v2.get(EXTRA, (0,))[0] == _PREMULTIPLIED:
        mode = "RGBa"
    return Image.merge(mode, planes)


def _read_profile(data: bytes, image: ImageFile.ImageFile, warn: Warn) -> bytes | None:
    """Gives the ICC profile of a picture's colours, None if they are sRGB or nothing is known."""
    if image.format != "PNG":
        return _unless_srgb(image.info.get("icc_profile"), warn)
    try:
        return _unless_srgb(png_profile(data), warn)
    except BadProfile as error:
        _warn_of_profile(error, warn)
        return None


def _unless_srgb(profile: bytes | None, warn: Warn) -> bytes | None:
    try:
        return None if not profile or is_srgb(profile) else profile
    except BadProfile as error:
        _warn_of_profile(error, warn)
        return None


def _warn_of_profile(error: BadProfile, warn: Warn) -> None:
    warn(f"{error}; its colours are taken as sRGB.")


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _TURNS[orientation](pixels) if orientation > 1 else pixels


def _upright_rgb(
    image: Image.Image, profile: bytes | None, warn: Warn
) -> UInt8[np.ndarray, "height width 3"]:
    upright = ImageOps.exif_transpose(image) if orientation_of(image) > 1 else image
    return _to_rgb(upright, profile, warn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Keeps the highest 8 bits of longer samples: Pillow's own conversion clips at 255."""
    if not image.mode.startswith("I;16"):
        return image
    bits = image.tag_v2[BITS][0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
    return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))


def _to_rgb(
    image: Image.Image, profile: bytes | None, warn: Warn
) -> UInt8[np.ndarray, "height width 3"]:
    """Converts any picture, with the meaning of its colours, to pixels over white."""
    color = image.info.get("transparency")
    if image.mode == "I;16" and color is not None:
        opacity = Image.fromarray(np.where(np.asarray(image) == color, 0, 255).astype(np.uint8))
        image = Image.merge("LA", [_to_8_bits(image), opacity])
    image = _to_8_bits(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    if profile is not None:
        try:
            image = to_srgb(image, profile)
        except BadProfile as error:
            _warn_of_profile(error, warn)
    if image.mode in ("LA", "RGBA"):
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
