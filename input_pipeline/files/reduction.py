"""How pictures are made smaller before they are cut: by a factor, or down to a reference side."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

SHRINKS = (1, 2, 4, 8)  # What the decoder of JPEGs can do.
# Shrink -> how many reference sides the shorter side of a JPEG has that is decoded so. Areas of a
# few decoded pixels are blurred against the same areas of all pixels: so twice the reference side
# is left by a half, and three times by the rest, which keeps nine tenths of the sharpness (standard
# deviation of the Laplacian) of photographs decoded whole. A scorer would see more of a loss.
_REFERENCE_SIDES = {8: 24, 4: 12, 2: 4}


@dataclass(frozen=True)
class Reduction:
    """By how much pictures are made smaller: all by one factor, or each to the same side.

    Attributes:
        shrink: one of `SHRINKS`: the sides become so many times smaller, rounded up.
        reference_side: the shorter side is brought down to so many pixels and the longer one in
            proportion; a picture that is no larger stays as it is. 0: off.
    """

    shrink: int = 1
    reference_side: int = 0

    def __post_init__(self):
        if self.reference_side and self.shrink > 1:
            # One after the other would make small pictures smaller, which a side is to spare.
            raise ValueError(
                f"tiles.shrink is {self.shrink} and tiles.reference_side {self.reference_side}: "
                "both say how small an image becomes; leave tiles.shrink at 1, or set "
                "tiles.reference_side to 0."
            )

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Gives the sides that a picture has when it has been made smaller."""
        shorter, wanted = min(height, width), self.reference_side
        if not wanted:
            return -(-height // self.shrink), -(-width // self.shrink)
        if shorter <= wanted:
            return height, width
        # To the nearest: exact for the shorter side, and never below it for the longer one.
        rows, columns = ((2 * side * wanted + shorter) // (2 * shorter) for side in (height, width))
        return rows, columns

    def codec_shrink(self, height: int, width: int) -> int:
        """Says by how much the decoder of a JPEG shrinks it; areas are then averaged to `sides`."""
        if not self.reference_side:
            return self.shrink
        shorter, side = min(height, width), self.reference_side
        return next((s for s, least in _REFERENCE_SIDES.items() if shorter >= least * side), 1)

    def apply(
        self, pixels: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "rows columns 3"]:
        """Makes a picture smaller; one that stays as large is returned itself."""
        if self.reference_side:
            return average_areas(pixels, *self.sides(*pixels.shape[:2]))
        return shrink_by(pixels, self.shrink)


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
    rows, columns = Reduction(shrink).sides(height, width)
    # As a JPEG is filled up to whole blocks.
    below, right = rows * shrink - height, columns * shrink - width
    pixels = np.ascontiguousarray(pixels)
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)


def average_areas(
    pixels: UInt8[np.ndarray, "height width 3"], rows: int, columns: int
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Makes a picture smaller: each pixel is the mean of the area that it covers.

    Args:
        pixels: RGB.
        rows, columns: no more than the picture has; as many return the picture itself.
    """
    if pixels.shape[:2] == (rows, columns):
        return pixels
    pixels = np.ascontiguousarray(pixels)
    return cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
