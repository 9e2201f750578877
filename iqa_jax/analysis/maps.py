"""Maps of a whole image from what was found on its tiles.

A map is [rows, columns] float32 over the image. It is computed on every `step`-th pixel, so that
its memory does not grow with the photograph; up to `LONGEST_SIDE` pixels a side, that is every
pixel. NaN marks pixels that no tile covers, which the edge policy "drop" leaves.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

LONGEST_SIDE = 1024


class Maps(NamedTuple):
    """What one image's maps say.

    Attributes:
        tile_scores: higher is better, on the label's scale.
        attention: share of the tiles around a pixel, times the number of tiles: 1 everywhere where
            every tile counts the same.
        grad_cam: relevance, 0 or more; only its proportions within one image mean something.
        step: pixels of the image per cell of a map, along each side.
        anomaly: how unlike good tiles those around a pixel are; None without detector.
    """

    tile_scores: Float32[np.ndarray, "rows columns"]
    attention: Float32[np.ndarray, "rows columns"]
    grad_cam: Float32[np.ndarray, "rows columns"]
    step: int
    anomaly: Float32[np.ndarray, "rows columns"] | None = None

    def relevance(self) -> dict[str, Float32[np.ndarray, "rows columns"]]:
        """Gives each map so that higher means: this is what makes the image bad."""
        return {
            "grad_cam": self.grad_cam,
            "attention": self.attention,
            "tile_scores": -self.tile_scores,
        } | ({} if self.anomaly is None else {"anomaly": self.anomaly})


def make_maps(
    tile_scores: Float[np.ndarray, " tile"],
    attention: Float[np.ndarray, " tile"],
    grad_cam: Float[np.ndarray, "tile rows columns"],
    origins: Int[np.ndarray, "tile 2"],
    tile_size: int,
    height: int,
    width: int,
    anomaly: Float[np.ndarray, " tile"] | None = None,
) -> Maps:
    """Stitches the maps of one image.

    Args:
        tile_scores: of each tile, higher is better.
        attention: share of each tile in the fusion.
        grad_cam: of each tile.
        origins: top and left pixel of each tile.
        tile_size: side of a tile in pixels.
        height, width: of the image in pixels.
        anomaly: of each tile, where a detector is fitted.
    """
    step = -(-max(height, width) // LONGEST_SIDE)

    def over_image(tile_maps):
        return stitch(tile_maps, origins, tile_size, height, width, step)

    return Maps(
        tile_scores=over_image(np.asarray(tile_scores)[:, None, None]),
        attention=over_image(np.asarray(attention)[:, None, None] * len(origins)),
        grad_cam=over_image(grad_cam),
        step=step,
        anomaly=None if anomaly is None else over_image(np.asarray(anomaly)[:, None, None]),
    )


def stitch(
    tile_maps: Float[np.ndarray, "tile rows columns"],
    origins: Int[np.ndarray, "tile 2"],
    tile_size: int,
    height: int,
    width: int,
    step: int = 1,
) -> Float32[np.ndarray, "{-(-height//step)} {-(-width//step)}"]:
    """Lays maps of tiles over the image.

    Each tile's map is enlarged to the tile, linearly between the middles of its cells. Where tiles
    overlap they are averaged, each weighing less towards its own border, so that no seam shows.
    What a tile says of padding beyond the image is left out.

    Args:
        tile_maps: one value per cell of each tile, a single cell included.
        origins: top and left pixel of each tile; a tile may reach beyond the image.
        tile_size: side of a tile in pixels.
        height, width: of the image in pixels.
        step: pixels per cell of the result.

    Returns:
        The map, read at `read_places`; NaN where no tile is.
    """
    places = [read_places(side, step) for side in (height, width)]
    shape = tuple(map(len, places))
    total, weight = np.zeros(shape), np.zeros(shape)
    for tile_map, origin in zip(np.asarray(tile_maps, np.float64), origins, strict=True):
        inside, weights, readings = [], [], []
        for axis, start in enumerate(origin):
            first, end = np.searchsorted(places[axis], (start, start + tile_size))
            place = places[axis][first:end] - start
            inside.append(slice(first, end))
            weights.append(1 + np.minimum(place, tile_size - place))
            readings.append(_read_between(place / tile_size, tile_map.shape[axis]))
        weights = np.outer(*weights)
        total[*inside] += weights * (readings[0] @ tile_map @ readings[1].T)
        weight[*inside] += weights
    stitched = np.full(shape, np.nan, np.float32)
    np.divide(total, weight, out=total, where=weight > 0)
    stitched[weight > 0] = total[weight > 0]
    return stitched


def read_places(side: int, step: int) -> Float[np.ndarray, " cell"]:
    """Gives where along a side the cells of a map are read, in pixels; a pixel's middle is at .5.

    That is the middle of each cell, and the last pixel where the last cell ends beyond the image.
    """
    return np.minimum((np.arange(-(-side // step)) + 0.5) * step, side - 0.5)


def _read_between(places: np.ndarray, cells: int) -> Float[np.ndarray, "place {cells}"]:
    """Gives the weights that read places in [0, 1] off equal cells, linearly between middles.

    Beyond the outermost middles the outermost cell is read. So each cell is read as often as the
    others, and the mean of the map stays what it was.
    """
    position = np.clip(places * cells - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(cells)), 0)
