"""Reads a TIFF band by band, so that an image may be far larger than memory.

A TIFF is stored as strips or tiles that are compressed one by one. The parts that a band of rows
touches are wrapped as a small TIFF of their own and go through the decoder of every other image:
the pixels are those of the whole image, bit for bit, whatever the compression.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import TiffImagePlugin

from input_pipeline.files.images import (
    ImageError,
    Warn,
    decode,
    ignore,
    open_header,
    orientation_of,
)
from input_pipeline.files.reduction import Reduction, average_areas, shrink_by
from input_pipeline.files.tiff_parts import (
    BITS,
    COMPRESSION,
    LENGTH,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    UNCOMPRESSED,
    copied_tags,
    is_by_plane,
    wrap,
)

# A header that claims more is not believed: laying the tiles out alone would fill the memory.
MOST_PIXELS = 10_000_000_000
# Rows of strips or tiles that decode to more are no help.
_MOST_PART_BYTES = 256 << 20
# Of an image that is made smaller, so much is decoded at a time, or one row of parts.
_SLICE_BYTES = 64 << 20
_RATIONAL_TAGS = (529, 532)  # Other colour coefficients than the usual ones.
_WHOLE_NUMBERS = {1, 3, 4, 7, 16}  # Types of tags: bytes, and what has 16 to 64 bits.


class BandReader:
    """Reads bands of rows of one TIFF; made by `open_bands`. Safe to use from several threads.

    Attributes:
        height, width: of the image, in pixels.
    """

    def __init__(self, path: str, image: TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        self._path, self._prefix = path, image.tag_v2.prefix
        self.width, self.height = image.size
        self._tags = copied_tags(image)
        samples = tags.get(SAMPLES, 1)
        self._planes = samples if is_by_plane(image) else 1
        is_tiled = TILE_OFFSETS in tags
        if is_tiled:
            self._rows, offsets, sizes = tags[TILE_LENGTH], tags[TILE_OFFSETS], tags[TILE_BYTES]
            self._across = -(-self.width // tags[TILE_WIDTH])
            width = self._across * tags[TILE_WIDTH]
        else:
            self._rows = min(tags.get(ROWS_PER_STRIP, self.height), self.height)
            offsets, sizes = tags[STRIP_OFFSETS], tags[STRIP_BYTES]
            self._across, width = 1, self.width
        # [plane, part]
        self._offsets, self._sizes = (
            np.array(values, np.int64).reshape(self._planes, -1) for values in (offsets, sizes)
        )
        bits = np.broadcast_to(tags.get(BITS, 1), samples).sum() * width
        row_bits = bits // self._planes
        # Rows of uncompressed strips are found without decoding what is above them.
        is_plain = not is_tiled and tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
        self._row_bytes = int(row_bits // 8) if is_plain and row_bits % 8 == 0 else None
        self.part_bytes = 0 if self._row_bytes else self._rows * bits // 8

    def read(self, top: int, bottom: int, warn: Warn = ignore) -> UInt8[np.ndarray, "rows width 3"]:
        """Decodes the rows from `top` to `bottom`, which is not among them; warns as `decode`.

        Raises:
            ImageError: the file is damaged, or cannot be read any more.
        """
        first, last = top // self._rows, -(-bottom // self._rows)
        start, stop, rows_per_part = first * self._rows, last * self._rows, self._rows
        if self._row_bytes:
            start, stop, rows_per_part = top, bottom, bottom - top
        stop = min(stop, self.height)
        data = []
        try:
            with open(self._path, "rb") as file:
                for plane in range(self._planes):
                    if self._row_bytes:
                        parts = self._plain_parts(plane, first, last, top, bottom)
                        data.append(b"".join(self._read_part(file, *part) for part in parts))
                    else:
                        parts = self._parts(plane, first, last)
                        data += [self._read_part(file, *part) for part in parts]
        except OSError as error:
            why = error.strerror or error
            raise ImageError(f"{self._path}: it cannot be read ({why}).") from error
        tags = self._tags | {LENGTH: stop - start}
        small = wrap(tags, data, rows_per_part, self._prefix)
        pixels = decode(small, max_pixels=MOST_PIXELS, name=self._path, warn=warn)
        return pixels[top - start : bottom - start]

    def read_reduced(
        self, reduction: Reduction, top: int, bottom: int, warn: Warn = ignore
    ) -> UInt8[np.ndarray, "rows columns 3"]:
        """Decodes rows of the image as it is when it has been made smaller.

        Args:
            reduction: how much smaller.
            top, bottom: the first row of the smaller image, and the one after the last.
            warn: as in `decode`.

        Returns:
            The rows that `reduction` makes of the whole image: bit for bit by a factor; by a
            reference side within one grey level, for columns are rounded before rows are averaged.

        Raises:
            ImageError: as `read`.
        """
        height, width = reduction.sides(self.height, self.width)
        if not reduction.reference_side or (height, width) == (self.height, self.width):
            shrink = reduction.shrink
            rows = self.read(top * shrink, min(bottom * shrink, self.height), warn)
            return shrink_by(rows, shrink)
        # Row n of the smaller image covers the rows from edges[n] to edges[n + 1].
        edges = np.arange(top, bottom + 1) * (self.height / height)
        first, last = top * self.height // height, -(-bottom * self.height // height)
        parts = 1 if self._row_bytes else self._rows
        # Whole parts, so that none is decoded twice.
        step = parts * max(1, _SLICE_BYTES // (3 * self.width * parts))
        averaged = np.zeros((bottom - top, width, 3), np.float32)
        for start in range(first - first % step, last, step):
            start, stop = max(start, first), min(start + step, last)
            rows = average_areas(self.read(start, stop, warn), stop - start, width)
            touched = slice(
                max(start * height // self.height - top, 0),
                min(-(-stop * height // self.height) - top, bottom - top),
            )
            row = np.arange(start, stop)
            inside = np.clip(edges[touched.start : touched.stop + 1, None], row, row + 1)
            shares = np.diff(inside, axis=0) * (height / self.height)
            averaged[touched] += np.tensordot(shares.astype(np.float32), rows, 1)
        return np.rint(averaged).astype(np.uint8)

    def _parts(self, plane: int, first: int, last: int) -> list[tuple[int, int]]:
        """Gives offset and bytes of all strips or tiles in some rows of them."""
        chosen = plane, slice(first * self._across, last * self._across)
        offsets, sizes = self._offsets[chosen].tolist(), self._sizes[chosen].tolist()
        return list(zip(offsets, sizes, strict=True))

    def _plain_parts(
        self, plane: int, first: int, last: int, top: int, bottom: int
    ) -> list[tuple[int, int]]:
        """Gives offset and bytes of rows, strip by strip."""
        parts = []
        for strip in range(first, last):
            start = strip * self._rows
            above = max(top - start, 0)
            below = min(bottom - start, self._rows)
            offset = int(self._offsets[plane, strip]) + above * self._row_bytes
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
            if not isinstance(image, TiffImagePlugin.TiffImageFile):
                return None
            if image.width * image.height <= more_than or not _can_cut(image):
                return None
            reader = BandReader(str(path), image)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        return None  # Whoever decodes it whole says why.
    return reader if reader.part_bytes <= _MOST_PART_BYTES else None


def _can_cut(image: TiffImagePlugin.TiffImageFile) -> bool:
    tags = image.tag_v2
    kinds = {tags.tagtype[tag] for tag in copied_tags(image)}
    has_parts = {STRIP_OFFSETS, STRIP_BYTES} <= {*tags} or {TILE_OFFSETS, TILE_BYTES} <= {*tags}
    return (
        has_parts
        and orientation_of(image) == 1
        and not any(tag in tags for tag in _RATIONAL_TAGS)
        and kinds <= _WHOLE_NUMBERS
    )
