"""The chunks of a PNG that its decoder should not see, and those that say what its colours mean.

Pillow refuses a PNG with more than a megabyte of text, which image generators write, and has one
limit for the whole process. No pixel depends on texts: they are taken out of the bytes.
"""

import io
import struct
import zlib
from collections.abc import Iterator

from input_pipeline.files.color_profiles import (
    SRGB_GAMMA,
    SRGB_PRIMARIES,
    SRGB_WHITE,
    BadProfile,
    make_profile,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UNSEEN = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_BEFORE_PIXELS = (b"IDAT", b"IEND")
_MOST_PROFILE_BYTES = 64 << 20
# Code points of ITU-T H.273 -> red, green, blue; all with the white of sRGB.
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_TRANSFERS = {4: 2.2, 5: 2.8, 8: 1.0, 13: SRGB_GAMMA}


def read_head(file: io.BytesIO | io.BufferedReader) -> bytes:
    """Reads a PNG up to where its pixels begin."""
    head = [file.read(8)]
    while len(start := file.read(8)) == 8:
        head.append(start)
        if start[4:] in _BEFORE_PIXELS:
            break
        head.append(file.read(int.from_bytes(start[:4]) + 4))
    return b"".join(head)


def without_texts(data: bytes) -> bytes:
    """Takes texts and the colour profile out of a PNG, or of the head of one."""
    kept, first = [], 0
    for kind, start, length in _chunks(data):
        if kind in _UNSEEN:
            kept.append(data[first : start - 8])
            first = start + length + 4
    return b"".join([*kept, data[first:]]) if kept else data


def png_profile(data: bytes) -> bytes | None:
    """Gives a profile of the colours of a PNG, made from its other chunks if it has none.

    Returns:
        An ICC profile; None where the PNG says nothing, or sRGB.

    Raises:
        BadProfile: the chunks are damaged, or of a kind that cannot be converted.
    """
    found: dict[bytes, bytes] = {}
    for kind, start, length in _chunks(data):
        if kind in _BEFORE_PIXELS:
            break
        found.setdefault(kind, data[start : start + length])
    try:
        if b"cICP" in found:
            return _coded_profile(found[b"cICP"])
        if b"iCCP" in found:
            _, _, packed = found[b"iCCP"].partition(b"\0")
            return zlib.decompressobj().decompress(packed[1:], _MOST_PROFILE_BYTES)
        if b"sRGB" in found:
            return None
        gamma, places = found.get(b"gAMA"), found.get(b"cHRM")
        if gamma is None and places is None:
            return None
        (level,) = struct.unpack(">I", gamma) if gamma else (45455,)
        values = [place / 100000 for place in struct.unpack(">8I", places)] if places else []
    except (struct.error, zlib.error) as error:
        raise BadProfile(f"the description of its colours is damaged ({error})") from error
    points = list(zip(values[::2], values[1::2], strict=True)) or [SRGB_WHITE, *SRGB_PRIMARIES]
    # 1/2.2 is what the format prescribes to write for sRGB.
    exponent = SRGB_GAMMA if abs(level - 45455) < 500 else 100000 / max(level, 1)
    return make_profile(points[0], points[1:], exponent)


def _coded_profile(body: bytes) -> bytes:
    primaries, transfer, matrix, is_full = struct.unpack("4B", body)
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS or matrix or not is_full:
        raise BadProfile(
            f"its colours are of a kind that is not converted (cICP {primaries}, {transfer}, "
            f"{matrix}, {is_full})"
        )
    return make_profile(SRGB_WHITE, _PRIMARIES[primaries], _TRANSFERS[transfer])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start and length of the content of each chunk."""
    place = 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        yield data[place + 4 : place + 8], place + 8, length
        place += length + 12
