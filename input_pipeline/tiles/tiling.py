"""Where tiles lie in an image, cutting them out, and what can be measured on one.

Pure functions of NumPy arrays. An origin is the (top, left) pixel of a tile; a position is its
(row, column) in the grid of tiles.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from input_pipeline.files.reduction import Reduction

EDGE_LOW = 50
EDGE_HIGH = 70

Edge = Literal["shift", "drop", "pad"]


@dataclass(frozen=True)
class Tiling:
    """How an image is laid out in square tiles.

    Attributes:
        size: side of a tile in pixels.
        stride: pixels from one tile to the next; below `size`, tiles overlap.
        edge: what happens when the strides do not end at the image's border: "shift" moves the
            last tile inwards, so that tiles cover the image without padding; "drop" leaves the
            rest unseen; "pad" keeps the stride and pads the last tile.
        shrink: the image's sides are made so many times smaller before it is cut: 1, 2, 4 or 8.
        reference_side: the image's shorter side is brought down to so many pixels before it is
            cut, at least one tile's; 0 leaves it as it is, as it does smaller images.
    """

    size: int = 256
    stride: int = 256
    edge: Edge = "shift"
    shrink: int = 1
    reference_side: int = 0

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"The tile size is {self.size} pixels; it must be at least 1.")
        if not 1 <= self.stride <= self.size:
            raise ValueError(
                f"The tile stride is {self.stride} pixels; it must be between 1 and the tile size "
                f"of {self.size}, else pixels between tiles are never looked at."
            )
        if self.edge not in get_args(Edge):
            raise ValueError(
                f"The tiling's edge is {self.edge!r}; choose one of {', '.join(get_args(Edge))}."
            )
        if 0 < self.reference_side < self.size:
            raise ValueError(
                f"The reference side is {self.reference_side} pixels, less than a tile's "
                f"{self.size}: every larger image would end as one row of padded tiles; set it to "
                f"{self.size} or more, or to 0."
            )
        _ = self.reduction  # Refuses what cannot be together.

    @property
    def reduction(self) -> Reduction:
        """How images are made smaller before they are cut."""
        return Reduction(self.shrink, self.reference_side)


class Grid(NamedTuple):
    """The tiles of one image, row by row.

    Attributes:
        origins: [tile, 2] top and left pixel; the tile may reach beyond the image.
        positions: [tile, 2] row and column in the grid.
        shape: rows and columns of the grid.
    """

    origins: Int32[np.ndarray, "tile 2"]
    positions: Int32[np.ndarray, "tile 2"]
    shape: tuple[int, int]


def grid(height: int, width: int, tiling: Tiling) -> Grid:
    """Lays the tiles of an image out, deterministically.

    A side shorter than a tile gets one padded tile, whatever the edge policy: no image is
    without tiles.

    Args:
        height: of the image, in pixels, at least 1.
        width: of the image, in pixels, at least 1.
        tiling: size, stride and edge policy.

    Returns:
        The grid, with at least one tile.
    """
    tops = _axis_origins(height, tiling)
    lefts = _axis_origins(width, tiling)
    shape = (len(tops), len(lefts))
    positions = np.indices(shape, dtype=np.int32).reshape(2, -1).T
    origins = np.stack([tops[positions[:, 0]], lefts[positions[:, 1]]], axis=1)
    return Grid(origins, np.ascontiguousarray(positions), shape)


def cut(
    image: UInt8[np.ndarray, "height width 3"], origins: Int[np.ndarray, "tile 2"], size: int
) -> UInt8[np.ndarray, "tile {size} {size} 3"]:
    """Cuts tiles out of an image, mirroring it where a tile reaches beyond the border.

    Mirroring keeps the statistics of the picture: a constant border would add an edge and a flat
    area, both of which look like a defect.

    Args:
        image: any image of at least one pixel.
        origins: top and left of each tile.
        size: side of a tile in pixels.

    Returns:
        The tiles, copied, in the order of the origins.
    """
    height, width = image.shape[:2]
    tiles = np.empty((len(origins), size, size, 3), np.uint8)
    for tile, (top, left) in zip(tiles, origins.tolist(), strict=True):
        if 0 <= top <= height - size and 0 <= left <= width - size:
            tile[:] = image[top : top + size, left : left + size]
        else:
            rows = _mirror(np.arange(top, top + size), height)
            columns = _mirror(np.arange(left, left + size), width)
            tile[:] = image[rows[:, None], columns]
    return tiles


def needed_rows(height: int, origins: Int[np.ndarray, "tile 2"], size: int) -> tuple[int, int]:
    """Gives the rows of an image that some tiles are made of, mirrored ones included.

    A band of these rows can stand for the image in `cut`, once the band's first row is taken off
    the origins.

    Args:
        height: of the image, in pixels.
        origins: top and left of each tile, inside the image.
        size: side of a tile in pixels.

    Returns:
        The first row, and the one after the last.
    """
    rows = _mirror(np.arange(origins[:, 0].min(), origins[:, 0].max() + size), height)
    return int(rows.min()), int(rows.max()) + 1


def pixel_mask(
    height: int, width: int, origins: Int[np.ndarray, "tile 2"], size: int
) -> Bool[np.ndarray, "tile {size} {size}"]:
    """Tells the pixels of each tile that lie in the image from those that are padding.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        origins: top and left of each tile.
        size: side of a tile in pixels.

    Returns:
        True inside the image, False for padding.
    """
    rows = origins[:, 0, None] + np.arange(size)
    columns = origins[:, 1, None] + np.arange(size)
    inside_rows = (rows >= 0) & (rows < height)
    inside_columns = (columns >= 0) & (columns < width)
    return inside_rows[:, :, None] & inside_columns[:, None, :]


def random_origins(
    height: int,
    width: int,
    origins: Int[np.ndarray, "tile 2"],
    tiling: Tiling,
    rng: np.random.Generator,
) -> Int32[np.ndarray, "tile 2"]:
    """Moves each tile of a grid at random, by less than one stride, for training.

    Offsets are uniform and then clipped to the image. Clipping, rather than drawing from what
    fits, lets the border pixels be seen about as often as in the fixed grid.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        origins: top and left of each tile, all or some of `grid`'s.
        tiling: the tiling that the grid was made with.
        rng: the same state gives the same tiles.

    Returns:
        New origins in the same order. A tile lies inside the image wherever the image is at
        least as large as a tile. With the grid's edge policies every pixel can be seen.
    """
    reach = tiling.stride - 1
    offsets = rng.integers(-reach, reach, size=origins.shape, endpoint=True)
    last = np.maximum(np.array([height, width]) - tiling.size, 0)
    return np.clip(origins + offsets, 0, last).astype(np.int32)


def edge_sum(
    tile: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> int:
    """Counts the Canny edge pixels of a tile: few in flat sky, many in grass.

    Args:
        tile: RGB.
        mask: False where the tile is padding, which then does not count.

    Returns:
        Edge pixels on the grey tile, with hysteresis thresholds `EDGE_LOW` and `EDGE_HIGH`.

    Source:
        Canny, A Computational Approach to Edge Detection, 1986, as in OpenCV (3x3 Sobel, L1 norm).
    """
    edges = cv2.Canny(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), EDGE_LOW, EDGE_HIGH) > 0
    return int(np.count_nonzero(edges if mask is None else edges & mask))


def within_band(
    edge_sums: Int[np.ndarray, " tile"], low: int, high: int
) -> Bool[np.ndarray, " tile"]:
    """Tells which tiles have an edge sum from `low` to `high`, both included.

    Args:
        edge_sums: one per tile.
        low: tiles below are too flat to judge.
        high: tiles above are texture only.

    Returns:
        True for tiles to keep.

    Raises:
        ValueError: if the band is empty.
    """
    if low > high:
        raise ValueError(f"The edge-sum band from {low} to {high} is empty; swap its ends.")
    edge_sums = np.asarray(edge_sums)
    return (edge_sums >= low) & (edge_sums <= high)


def _axis_origins(length: int, tiling: Tiling) -> Int32[np.ndarray, " tile"]:
    last = max(length - tiling.size, 0)
    starts = np.arange(0, last + 1, tiling.stride, dtype=np.int32)
    rest = last - starts[-1]
    if rest == 0 or tiling.edge == "drop":
        return starts
    extra = last if tiling.edge == "shift" else starts[-1] + tiling.stride
    return np.append(starts, np.int32(extra))


def _mirror(indices: Int[np.ndarray, " pixel"], length: int) -> Int[np.ndarray, " pixel"]:
    """Folds indices into [0, length) by reflection about the first and last pixel."""
    period = max(2 * (length - 1), 1)
    folded = indices % period
    return np.minimum(folded, 2 * (length - 1) - folded)
