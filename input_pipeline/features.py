"""Hand-crafted features per tile, standardised by what the training tiles have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, UInt8

from input_pipeline.sources import Layout, TileSource
from input_pipeline.tiles import edge_sum

COMPUTED = ("n_tiles", "edge_sum")


def edge_sums(
    source: TileSource,
    layout: Layout,
    tiles: UInt8[np.ndarray, "tile s s 3"],
    chosen: Int[np.ndarray, " tile"] | None = None,
) -> Int[np.ndarray, " tile"]:
    """Counts the edge pixels of tiles of an image, padding left out; `chosen` as in `tiles`."""
    masks = source.pixel_masks(layout, chosen)
    return np.array([edge_sum(tile, mask) for tile, mask in zip(tiles, masks, strict=True)])


@dataclass(frozen=True)
class FeatureTable:
    """Which features go into the head, and how they are scaled.

    Attributes:
      names: "n_tiles", "edge_sum" or columns of the manifest.
      mean: [feature], subtracted.
      scale: [feature], divided by.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __call__(
        self, edge_sums: np.ndarray, tile_count: int, row: Mapping[str, float]
    ) -> Float32[np.ndarray, "tile feature"]:
        """Gives the scaled features of some tiles of one image.

        Args:
          edge_sums: [tile] edge pixels; looked at only if asked for.
          tile_count: tiles in the image's grid.
          row: the image's row of the manifest.
        """
        raw = raw_features(self.names, edge_sums, tile_count, row)
        return ((raw - np.array(self.mean)) / np.array(self.scale)).astype(np.float32)


def raw_features(names, edge_sums, tile_count, row) -> np.ndarray:
    """Gives the features of some tiles before scaling, [tile, feature] float64."""
    computed = {"n_tiles": tile_count, "edge_sum": edge_sums}
    columns = [
        np.broadcast_to(computed[name] if name in computed else row[name], len(edge_sums))
        for name in names
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(edge_sums), 0))


def fit_features(names: Sequence[str], raw: np.ndarray) -> FeatureTable:
    """Fits the scaling on training tiles; a constant feature is only centred.

    Args:
      names: of the features.
      raw: [tile, feature].
    """
    scale = raw.std(axis=0)
    return FeatureTable(
        tuple(names),
        tuple(raw.mean(axis=0).tolist()),
        tuple(np.where(scale > 0, scale, 1.0).tolist()),
    )
