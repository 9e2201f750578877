"""Reads a TIFF band by band, so that an image may be far larger than memory.

A TIFF is stored as strips or tiles that are compressed one by one. The parts that a band of rows
touches are wrapped as a small TIFF of their own and go through the decoder of every other image:
the pixels are those of the whole image, bit for bit, whatever the compression.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ImageFile, TiffImagePlugin

from input_pipeline.images import ImageError, decode, open_header, orientation_of

# A header that claims more is not believed: laying the tiles out alone would fill the memory.
MOST_PIXELS = 10_000_000_000
# Rows of strips or tiles that decode to more are no help.
_MOST_PART_BYTES = 256 << 20

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _PLANAR = 256, 257, 258, 259, 277, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_RATIONAL_TAGS = (529, 532)  # Other colour coefficients than the usual ones.
# Photometric, fill order, predictor, colours, extra samples, sample format, JPEG tables, chroma.
_COPIED = (_WIDTH, _BITS, _COMPRESSION, 262, 266, _SAMPLES, _PLANAR, 317, 320,
           _TILE_WIDTH, _TILE_LENGTH, 338, 339, 347, 530, 531)  # fmt: skip
_UNCOMPRESSED, _BY_PIXEL = 1, 1
_SHORT, _LONG, _BYTES = 3, 4, 7


class BandReader:
    """Reads bands of rows of one TIFF; made by `open_bands`. Safe to use from several threads.

    Attributes:
      height, width: of the image, in pixels.
    """

    def __init__(self, path: str, image: TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        self._path, self._prefix = path, image.tag_v2.prefix
        self.width, self.height = image.size
        self._tags = {tag: (tags.tagtype[tag], tags[tag]) for tag in _COPIED if tag in tags}
        self._is_tiled = _TILE_OFFSETS in tags
        if self._is_tiled:
            self._rows, offsets, sizes = tags[_TILE_LENGTH], tags[_TILE_OFFSETS], tags[_TILE_BYTES]
            self._across = -(-self.width // tags[_TILE_WIDTH])
            width = self._across * tags[_TILE_WIDTH]
        else:
            self._rows = min(tags.get(_ROWS_PER_STRIP, self.height), self.height)
            offsets, sizes = tags[_STRIP_OFFSETS], tags[_STRIP_BYTES]
            self._across, width = 1, self.width
        self._offsets, self._sizes = np.array(offsets, np.int64), np.array(sizes, np.int64)
        bits = sum(np.atleast_1d(tags.get(_BITS, 1))) * width
        # Rows of uncompressed strips are found without decoding what is above them.
        is_plain = not self._is_tiled and tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
        self._row_bytes = bits // 8 if is_plain and bits % 8 == 0 else None
        self.part_bytes = 0 if self._row_bytes else self._rows * bits // 8

    def read(self, top: int, bottom: int) -> UInt8[np.ndarray, "rows width 3"]:
        """Decodes the rows from `top` to `bottom`, which is not among them.

        Raises:
          ImageError: the file is damaged, or cannot be read any more.
        """
        first, last = top // self._rows, -(-bottom // self._rows)
        parts, start, stop = self._parts(first, last), first * self._rows, last * self._rows
        rows_per_part = self._rows
        if self._row_bytes:
            start, stop = top, bottom
            parts, rows_per_part = self._plain_parts(first, last, top, bottom), bottom - top
        stop = min(stop, self.height)
        try:
            with open(self._path, "rb") as file:
                data = [self._read_part(file, *part) for part in parts]
        except OSError as error:
            why = error.strerror or error
            raise ImageError(f"{self._path}: it cannot be read ({why}).") from error
        if self._row_bytes:
            data = [b"".join(data)]
        small = self._wrap(data, stop - start, rows_per_part)
        pixels = decode(small, max_pixels=MOST_PIXELS, name=self._path)
        return pixels[top - start : bottom - start]

    def _parts(self, first: int, last: int) -> list[tuple[int, int]]:
        """Gives offset and bytes of all strips or tiles in some rows of them."""
        chosen = slice(first * self._across, last * self._across)
        return list(zip(self._offsets[chosen], self._sizes[chosen], strict=True))

    def _plain_parts(self, first: int, last: int, top: int, bottom: int) -> list[tuple[int, int]]:
        """Gives offset and bytes of rows, strip by strip."""
        parts = []
        for strip in range(first, last):
            start = strip * self._rows
            above = max(top - start, 0)
            below = min(bottom - start, self._rows)
            offset = int(self._offsets[strip]) + above * self._row_bytes
            parts.append((offset, (below - above) * self._row_bytes))
        return parts

    def _read_part(self, file, offset: int, size: int) -> bytes:
        file.seek(offset)
        data = file.read(size)
        if len(data) < size or not size:
            raise ImageError(
                f"{self._path}: the file is damaged or cut short; copy or export it again."
            )
        return data

    def _wrap(self, parts: Sequence[bytes], height: int, rows_per_part: int) -> bytes:
        """Writes strips or tiles as a TIFF of their own."""
        order = "<" if self._prefix == b"II" else ">"
        sizes = [len(part) for part in parts]
        tags = self._tags | {_LENGTH: (_LONG, height)}
        if self._is_tiled:
            offsets_tag, tags[_TILE_BYTES] = _TILE_OFFSETS, (_LONG, sizes)
        else:
            offsets_tag, tags[_STRIP_BYTES] = _STRIP_OFFSETS, (_LONG, sizes)
            tags[_ROWS_PER_STRIP] = (_LONG, rows_per_part)
        ends = np.cumsum([0, *sizes])
        tags[offsets_tag] = (_LONG, ends[:-1].tolist())
        # Where the parts begin hangs on the length of the table, and that not on the offsets.
        start = len(_write_tags(tags, order))
        tags[offsets_tag] = (_LONG, (ends[:-1] + start).tolist())
        return _write_tags(tags, order) + b"".join(parts)


def _write_tags(tags: dict[int, tuple[int, object]], order: str) -> bytes:
    """Writes the header of a TIFF and its one table of tags, sorted as the format demands."""
    table, rest = b"", b""
    rest_start = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        if kind == _BYTES:
            count, data = len(value), bytes(value)
        else:
            values = np.atleast_1d(value).tolist()
            count = len(values)
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


def open_bands(path: str | os.PathLike, more_than: int) -> BandReader | None:
    """Opens an image for reading by bands, if that is worth it and possible.

    Args:
      path: the file.
      more_than: smaller images are better decoded whole.

    Returns:
      None where the image has to be decoded whole: it has no more pixels than `more_than`, is no
      TIFF, is turned by its orientation, or is stored in a way that cannot be cut.

    Raises:
      ImageError: it is a TIFF that cannot be used.
    """
    if not Path(path).is_file():  # A pipe would be waited for.
        return None
    try:
        with Path(path).open("rb") as file:
            if file.read(2) not in (b"II", b"MM"):
                return None
            file.seek(0)
            image = open_header(file, max_pixels=MOST_PIXELS, name=str(path))
            if image.width * image.height <= more_than or not _can_cut(image):
                return None
            reader = BandReader(str(path), image)
    except OSError:
        return None  # Whoever decodes it whole says why.
    return reader if reader.part_bytes <= _MOST_PART_BYTES else None


def _can_cut(image: ImageFile.ImageFile) -> bool:
    tags = image.tag_v2
    kinds = {tags.tagtype[tag] for tag in _COPIED if tag in tags}
    has_parts = {_STRIP_OFFSETS, _STRIP_BYTES} <= {*tags} or {_TILE_OFFSETS, _TILE_BYTES} <= {*tags}
    return (
        has_parts
        and orientation_of(image) == 1
        and tags.get(_PLANAR, _BY_PIXEL) == _BY_PIXEL
        and not any(tag in tags for tag in _RATIONAL_TAGS)
        and kinds <= {_SHORT, _LONG, _BYTES}
    )
