"""Writes TIFFs of every kind from known samples, by the letter of the format and nothing else."""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

_TYPES = {"B": 1, "H": 3, "I": 4, "b": 7}
COMPRESSIONS = {"none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "packbits": 32773}
CONTIGUOUS, SEPARATE = 1, 2


def write_tiff(
    samples: np.ndarray,
    photometric: int,
    *,
    bits: int = 0,
    sample_format: int = 0,
    extra: tuple[int, ...] = (),
    planar: int = CONTIGUOUS,
    compression: str = "none",
    tile: tuple[int, int] | None = None,
    rows_per_strip: int = 0,
    order: str = "<",
    more: dict[int, tuple[str, object]] | None = None,
) -> bytes:
    """Writes one page.

    Args:
        samples: [height, width, channel] of the sample's own type; with `bits` unsigned.
        photometric: 0 white is zero, 1 grey, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        bits: per sample, if not those of the type.
        sample_format: 1 unsigned, 2 signed, 3 floating point; 0 leaves the tag out.
        extra: what channels beyond the colours mean: 1 premultiplied, 2 plain alpha.
        planar: `CONTIGUOUS` or `SEPARATE`.
        compression: a key of `COMPRESSIONS`.
        tile: height and width; None for strips.
        rows_per_strip: 0 for one strip.
        order: "<" or ">".
        more: tag -> type and values.
    """
    height, width, channels = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    rows, columns = tile or (rows_per_strip or height, width)
    planes = [samples] if planar == CONTIGUOUS else np.split(samples, channels, axis=2)
    parts = []
    corners = itertools.product(planes, range(0, height, rows), range(0, width, columns))
    for plane, top, left in corners:
        part = plane[top : top + rows, left : left + columns]
        if tile:
            below, right = rows - part.shape[0], columns - part.shape[1]
            part = np.pad(part, ((0, below), (0, right), (0, 0)), "edge")
        parts.append(_compress(part, bits, compression, order))
    tags = {
        256: ("I", width), 257: ("I", height), 258: ("H", [bits] * channels),
        259: ("H", COMPRESSIONS[compression]), 262: ("H", photometric), 277: ("H", channels),
        284: ("H", planar), **(more or {}),
    }  # fmt: skip
    if extra:
        tags[338] = ("H", extra)
    if sample_format:
        tags[339] = ("H", [sample_format] * channels)
    sizes = [len(part) for part in parts]
    offsets = np.cumsum([8, *(size + size % 2 for size in sizes)])
    names = (322, 323, 324, 325) if tile else (None, 278, 273, 279)
    if tile:
        tags[322] = ("I", columns)
    tags |= {names[1]: ("I", rows), names[2]: ("I", offsets[:-1]), names[3]: ("I", sizes)}
    start = int(offsets[-1])
    mark = b"II" if order == "<" else b"MM"
    body = b"".join(part + bytes(len(part) % 2) for part in parts)
    return mark + struct.pack(order + "HI", 42, start) + body + _table(tags, start, order)


def _table(tags: dict[int, tuple[str, object]], start: int, order: str) -> bytes:
    table, rest = struct.pack(order + "H", len(tags)), b""
    rest_start = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        values = list(values) if kind == "b" else np.atleast_1d(values).tolist()
        code = "B" if kind == "b" else kind
        data = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(data) > 4:
            place = struct.pack(order + "I", rest_start + len(rest))
            rest += data + bytes(len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        table += struct.pack(order + "HHI", tag, _TYPES[kind], len(values)) + place
    return table + struct.pack(order + "I", 0) + rest


def _compress(part: np.ndarray, bits: int, compression: str, order: str) -> bytes:
    if compression == "jpeg":
        data = io.BytesIO()
        grey_or_rgb = part[..., 0] if part.shape[2] == 1 else part
        Image.fromarray(grey_or_rgb).save(data, "JPEG", quality=95, subsampling=0, keep_rgb=True)
        return data.getvalue()
    rows = [_pack(row, bits, order) for row in part]
    if compression == "packbits":
        return b"".join(map(_packbits, rows))
    data = b"".join(rows)
    return {"none": bytes, "deflate": zlib.compress, "lzw": _lzw}[compression](data)


def _pack(row: np.ndarray, bits: int, order: str) -> bytes:
    if bits == row.dtype.itemsize * 8:
        return row.astype(row.dtype.newbyteorder(order)).tobytes()
    places = np.arange(bits)[::-1]
    return np.packbits((row.reshape(-1, 1) >> places & 1).astype(np.uint8)).tobytes()


def _packbits(data: bytes) -> bytes:
    runs = (data[start : start + 128] for start in range(0, len(data), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def _lzw(data: bytes) -> bytes:
    """Writes bytes as they are in codes of 9 bits, starting anew before codes get longer."""
    codes: list[int] = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    codes.append(257)
    bits = np.array(codes)[:, None] >> np.arange(9)[::-1] & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()
