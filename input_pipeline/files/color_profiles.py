"""Colours as a file's ICC profile means them, converted to sRGB by LittleCMS.

Pictures are converted with 8 bits, relative colorimetric with black point compensation, as image
editors do. A profile that comes to sRGB within two of 255 levels leaves the pixels as they are.
"""

import functools
import io
import struct
import threading
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageCms

# The curve of sRGB itself, which is no power.
SRGB_GAMMA = 0.0
SRGB_WHITE = (0.3127, 0.3290)
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))

_SAME_LEVELS = 2
_SPACES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
# Linear above a small value: exponent, a, b, c, d of ((a x + b) ** exponent, or c x below d).
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

Point = tuple[float, float]


class BadProfile(ValueError):
    """A profile that cannot be used; the message says why, without a name."""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts a picture to sRGB; may be called from several threads.

    Args:
        image: of mode L, LA, RGB, RGBA or CMYK.
        profile: ICC.

    Returns:
        A picture of mode RGB or RGBA.

    Raises:
        BadProfile: the profile is damaged, or for colours of another kind.
    """
    if image.mode == "LA":
        grey, opacity = image.split()
        image = to_srgb(grey, profile)
        image.putalpha(opacity)
        return image
    space = _space(profile)
    mode = "RGB" if image.mode == "RGBA" else image.mode
    # A grey picture may have a profile for colours: all of its channels are equal then.
    if space != mode and (mode, space) != ("L", "RGB"):
        raise BadProfile(f"its colour profile is for {space} and not for {mode} pictures")
    if space != mode:
        image = image.convert("RGB")
    return _transform(profile, image.mode, threading.get_ident()).apply(image)


def make_profile(white: Point, primaries: Sequence[Point], gamma: float) -> bytes:
    """Writes an ICC profile of three primaries and one curve.

    Args:
        white: x, y of the light that equal channels give.
        primaries: x, y of red, green and blue.
        gamma: exponent from samples to light, or `SRGB_GAMMA`.

    Raises:
        BadProfile: there are no such colours.
    """
    try:
        columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
        target = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
        columns = columns * np.linalg.solve(columns, target)
    except (ZeroDivisionError, np.linalg.LinAlgError) as error:
        raise BadProfile("its primary colours are impossible") from error
    adapt = np.diag(_BRADFORD @ _D50 / (_BRADFORD @ target))
    columns = np.linalg.solve(_BRADFORD, adapt @ _BRADFORD) @ columns
    kind, numbers = (3, _SRGB_CURVE) if gamma == SRGB_GAMMA else (0, (gamma,))
    curve = b"para" + struct.pack(f">4xHxx{len(numbers)}i", kind, *_fixed(numbers))
    bodies = {
        name: b"XYZ " + struct.pack(">4x3i", *_fixed(values))
        for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)
    } | {b"wtpt": b"XYZ " + struct.pack(">4x3i", *_fixed(_D50)), b"rTRC": curve, b"gTRC": curve,
         b"bTRC": curve}  # fmt: skip
    place, table, content = 128 + 4 + 12 * len(bodies), b"", b""
    for name, body in bodies.items():
        table += name + struct.pack(">II", place + len(content), len(body))
        content += body
    size = place + len(content)
    header = struct.pack(">I4xI", size, 0x04300000) + b"mntrRGB XYZ "
    header = header.ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", *_fixed(_D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(bodies)) + table + content


def _fixed(values: Iterable[float]) -> list[int]:
    return [round(float(value) * 65536) for value in values]


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, TypeError, ValueError) as error:
        raise BadProfile(f"its colour profile is damaged ({error})") from error


@functools.lru_cache(maxsize=64)
def _space(profile: bytes) -> str:
    """Gives the mode of the pictures that a profile is for."""
    # Pillow says that it holds what was given, and holds what it has read.
    space = _open(profile).profile.xcolor_space  # pyright: ignore[reportAttributeAccessIssue]
    return _SPACES.get(space, space.strip())


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Says whether a profile changes none of the colours spread over its space.

    Raises:
        BadProfile: the profile is damaged.
    """
    if _space(profile) == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)
    colors = np.repeat(ramp[None, :, None], 3, axis=2)
    if _space(profile) == "RGB":
        steps = np.stack(np.meshgrid(*[ramp[::15]] * 3), axis=-1).reshape(1, -1, 3)
        colors = np.concatenate([colors, steps], axis=1)
    image = Image.fromarray(colors).convert(_space(profile))
    converted = _transform(profile, image.mode, threading.get_ident()).apply(image)
    return bool(np.abs(np.asarray(converted).astype(int) - colors).max() <= _SAME_LEVELS)


# A transform is no thread's but the one that made it.
@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str, thread: int) -> ImageCms.ImageCmsTransform:
    try:
        return ImageCms.ImageCmsTransform(
            _open(profile),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ValueError) as error:
        raise BadProfile(f"its colour profile cannot be used ({error})") from error
