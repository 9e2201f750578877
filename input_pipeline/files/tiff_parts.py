"""Strips and tiles of a TIFF wrapped as a TIFF of their own, for decoders that read whole files."""

import struct
from collections.abc import Sequence

import numpy as np
from PIL import TiffImagePlugin

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, PLANAR, EXTRA, SAMPLE_FORMAT = 277, 284, 338, 339
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
UNCOMPRESSED, BY_PIXEL, BY_PLANE, GREY = 1, 1, 2, 1

_PREDICTOR, _JPEG_TABLES, _PROFILE = 317, 347, 34675
# Fill order, predictor, colours, JPEG tables, chroma, colour profile besides those above.
_COPIED = (WIDTH, BITS, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, PLANAR, _PREDICTOR, 320,
           TILE_WIDTH, TILE_LENGTH, EXTRA, SAMPLE_FORMAT, _JPEG_TABLES, 530, 531,
           _PROFILE)  # fmt: skip
_SHORT, _LONG, _BYTES = 3, 4, 7
_LONGS = (WIDTH, LENGTH, TILE_WIDTH, TILE_LENGTH, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES,
          TILE_OFFSETS, TILE_BYTES)  # fmt: skip

Tags = dict[int, bytes | int | Sequence[int] | np.ndarray]


def copied_tags(image: TiffImagePlugin.TiffImageFile) -> Tags:
    """Gives the tags that say how strips and tiles are to be read."""
    return {tag: image.tag_v2[tag] for tag in _COPIED if tag in image.tag_v2}


def is_by_plane(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Says whether the channels are stored one after the other."""
    return image.tag_v2.get(PLANAR, BY_PIXEL) == BY_PLANE


def split_planes(data: bytes, image: TiffImagePlugin.TiffImageFile) -> list[bytes]:
    """Makes a grey TIFF of each channel of one whose channels are stored one after the other.

    Args:
        data: the whole file.
        image: its header.

    Raises:
        ValueError: strips or tiles are missing.
    """
    tags = image.tag_v2
    is_tiled = TILE_OFFSETS in tags
    names = (TILE_OFFSETS, TILE_BYTES) if is_tiled else (STRIP_OFFSETS, STRIP_BYTES)
    offsets, sizes = (np.atleast_1d(tags[name]).tolist() for name in names)
    parts = [data[start : start + size] for start, size in zip(offsets, sizes, strict=True)]
    count = tags.get(SAMPLES, 1)
    if len(parts) % count or any(len(part) < size for part, size in zip(parts, sizes, strict=True)):
        raise ValueError("strips or tiles are missing")
    common = copied_tags(image) | {
        LENGTH: tags[LENGTH], PLANAR: BY_PIXEL, SAMPLES: 1, BITS: int(np.atleast_1d(tags[BITS])[0]),
    }  # fmt: skip
    if count > 1:
        common[PHOTOMETRIC] = GREY
    common = {tag: value for tag, value in common.items() if tag not in (EXTRA, SAMPLE_FORMAT)}
    rows, per_plane = tags.get(ROWS_PER_STRIP, tags[LENGTH]), len(parts) // count
    return [
        wrap(common, parts[first : first + per_plane], rows, tags.prefix)
        for first in range(0, len(parts), per_plane)
    ]


def wrap(tags: Tags, parts: Sequence[bytes], rows_per_strip: int, prefix: bytes) -> bytes:
    """Writes strips or tiles as a TIFF.

    Args:
        tags: of `copied_tags`, and the length.
        parts: strips, or tiles if the tags have their width.
        rows_per_strip: nothing to tiles.
        prefix: the byte order that the parts are in.
    """
    sizes = [len(part) for part in parts]
    tags = dict(tags)
    if TILE_WIDTH in tags:
        offsets_tag, tags[TILE_BYTES] = TILE_OFFSETS, sizes
    else:
        offsets_tag, tags[STRIP_BYTES], tags[ROWS_PER_STRIP] = STRIP_OFFSETS, sizes, rows_per_strip
    ends = np.cumsum([0, *sizes])
    tags[offsets_tag] = ends[:-1]
    order = "<" if prefix == b"II" else ">"
    # Where the parts begin hangs on the length of the table, and that not on the offsets.
    tags[offsets_tag] = ends[:-1] + len(_write_tags(tags, order))
    return _write_tags(tags, order) + b"".join(parts)


def _write_tags(tags: Tags, order: str) -> bytes:
    """Writes the header of a TIFF and its one table of tags, sorted as the format demands."""
    table, rest = b"", b""
    rest_start = 8 + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            kind, count, data = _BYTES, len(value), value
        else:
            values = np.atleast_1d(value).tolist()
            kind, count = _LONG if tag in _LONGS else _SHORT, len(values)
            data = struct.pack(f"{order}{count}{'H' if kind == _SHORT else 'I'}", *values)
        if len(data) > 4:
            place = struct.pack(f"{order}I", rest_start + len(rest))
            rest += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        table += struct.pack(f"{order}HHI", tag, kind, count) + place
    mark = b"II" if order == "<" else b"MM"
    header = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    return header + table + struct.pack(f"{order}I", 0) + rest
