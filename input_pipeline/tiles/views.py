"""Other looks at the same image, for test-time augmentation: mirrored, moved grid, other size.

A view is a change of the photograph before it is cut, so that tiles, positions and grid are those
of the changed photograph. Whatever the other parts, every view comes mirrored as well: mirroring
the photograph only permutes its views.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from input_pipeline.files.images import ImageError
from input_pipeline.tiles.sources import Layout, TileSource
from input_pipeline.tiles.tiling import Grid, Tiling, cut, grid

# Name -> which axes (height, width) are mirrored in each view; closed under its own mirrorings.
FLIPS: dict[str, tuple[tuple[bool, bool], ...]] = {
    "none": ((False, False),),
    "horizontal": ((False, False), (False, True)),
    "both": ((False, False), (False, True), (True, False), (True, True)),
}


class View(NamedTuple):
    """One look at an image.

    Attributes:
        flip_vertical: top and bottom change places.
        flip_horizontal: left and right change places.
        shift: share of the stride by which the grid is moved down and right.
        scale: factor of the image's sides.
    """

    flip_vertical: bool = False
    flip_horizontal: bool = False
    shift: float = 0.0
    scale: float = 1.0


PLAIN = View()


def make_views(flips: str, shifts: int, scales: Sequence[float]) -> tuple[View, ...]:
    """Lists the views; the first is the image as it is.

    Args:
        flips: one of `FLIPS`.
        shifts: moved grids, spread evenly over the stride.
        scales: factors of the image's sides, besides 1.
    """
    looks = [(0.0, 1.0)]
    looks += [(number / (shifts + 1), 1.0) for number in range(1, shifts + 1)]
    looks += [(0.0, float(scale)) for scale in scales]
    return tuple(
        View(*flip, shift, scale) for (shift, scale), flip in itertools.product(looks, FLIPS[flips])
    )


def resize(
    image: UInt8[np.ndarray, "height width 3"], scale: float
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Resizes an image by a factor of its sides; 1 returns the image itself."""
    if scale == 1:
        return image
    sides = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, sides, interpolation=how)


def take_view(
    image: UInt8[np.ndarray, "height width 3"], view: View, tiling: Tiling
) -> tuple[UInt8[np.ndarray, "tile size size 3"], Layout]:
    """Cuts the tiles of a view of an image.

    Args:
        image: RGB.
        view: the look at it.
        tiling: of the run.

    Returns:
        The tiles, and how the changed image is laid out.
    """
    image = resize(image, view.scale)
    image = image[:: -1 if view.flip_vertical else 1, :: -1 if view.flip_horizontal else 1]
    height, width = image.shape[:2]
    origins, positions, shape = grid(height, width, tiling)
    if view.shift:
        last = np.maximum(np.array([height, width]) - tiling.size, 0)
        moved = origins + round(view.shift * tiling.stride)
        origins = np.clip(moved, 0, last).astype(np.int32)
    tiles = cut(image, origins, tiling.size)
    return tiles, Layout(Grid(origins, positions, shape), height, width, height * width)


def mirror_cut_tiles(
    tiles: UInt8[np.ndarray, "tile size size 3"], layout: Layout, view: View
) -> tuple[UInt8[np.ndarray, "tile size size 3"], Layout]:
    """Mirrors an image that is given as tiles already cut: each tile, and its place in the grid."""
    is_flipped = np.array([view.flip_vertical, view.flip_horizontal])
    positions, shape = layout.grid.positions, np.array(layout.grid.shape)
    mirrored = np.where(is_flipped, shape - 1 - positions, positions).astype(np.int32)
    size = tiles.shape[1]
    tiles = tiles[:, :: -1 if view.flip_vertical else 1, :: -1 if view.flip_horizontal else 1]
    return tiles, layout._replace(grid=Grid(mirrored * size, mirrored, layout.grid.shape))


def tiles_of_views(
    source: TileSource, image_id: int, layout: Layout, views: Sequence[View]
) -> tuple[
    list[tuple[UInt8[np.ndarray, "tile size size 3"], Layout]],
    UInt8[np.ndarray, "height width 3"] | None,
]:
    """Decodes an image once and cuts every view of it.

    Args:
        source: of the tiles.
        image_id: which picture.
        layout: the picture's.
        views: looks at it.

    Returns:
        The tiles and the layout of every view, and the image that they are of; None where it is
        given as tiles already cut.

    Raises:
        ImageError: it cannot be read, or is given as tiles already cut, which cannot be moved or
            resized.
    """
    if source.is_cut(image_id):
        if any(view.shift or view.scale != 1 for view in views):
            raise ImageError("tiles already cut can be mirrored, not moved or resized.")
        tiles = source.tiles(image_id, layout)
        return [mirror_cut_tiles(tiles, layout, view) for view in views], None
    image = source.image(image_id)
    return [take_view(image, view, source.tiling) for view in views], image
