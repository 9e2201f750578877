"""Hand-crafted features per tile, standardised by what the training tiles have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Num, UInt8

from input_pipeline.tiles import nss
from input_pipeline.tiles.tiling import edge_sum

# Feature -> (tile, mask of the pixels that are no padding) -> its value or values.
MEASURED = {
    "edge_sum": edge_sum,
    # Padding mirrors the picture, so it has the statistics of the picture.
    "nss": lambda tile, mask: nss.nss_features(tile),
}
COMPUTED = ("n_tiles", *MEASURED)
# Name -> how many values, where it is more than one.
_WIDTHS = {"nss": nss.FEATURES}
# Feature -> [tile] or [tile, value].
Measured = Mapping[str, Num[np.ndarray, " tile *value"]]


def measure_tiles(
    names: Collection[str],
    tiles: UInt8[np.ndarray, "tile s s 3"],
    masks: Bool[np.ndarray, "tile s s"],
) -> Measured:
    """Measures those of the named features that need pixels.

    Args:
        names: of features; others than `MEASURED` are passed over.
        tiles: of one image, at least one.
        masks: False for padding.
    """
    return {
        name: np.array([measure(*pair) for pair in zip(tiles, masks, strict=True)])
        for name, measure in MEASURED.items()
        if name in names
    }


def feature_width(names: Sequence[str]) -> int:
    """Counts the values that the named features come to."""
    return sum(_WIDTHS.get(name, 1) for name in names)


@dataclass(frozen=True)
class FeatureTable:
    """Which features go into the head, and how they are scaled.

    Attributes:
        names: of `COMPUTED`, or columns of the manifest.
        mean: [value], subtracted.
        scale: [value], divided by.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __call__(
        self, measured: Measured, count: int, tile_count: int, row: Mapping[str, float] | pd.Series
    ) -> Float32[np.ndarray, "tile value"]:
        """Gives the scaled features of some tiles of one image.

        Args:
            measured: as `measure_tiles` gives them; looked at only if asked for.
            count: of these tiles.
            tile_count: tiles in the image's grid.
            row: the image's row of the manifest.
        """
        raw = raw_features(self.names, measured, count, tile_count, row)
        return ((raw - np.array(self.mean)) / np.array(self.scale)).astype(np.float32)


def raw_features(
    names: Sequence[str],
    measured: Measured,
    count: int,
    tile_count: int,
    row: Mapping[str, float] | pd.Series,
) -> Float64[np.ndarray, "tile value"]:
    """Gives the features of some tiles before scaling; arguments as for a `FeatureTable`."""
    known = {"n_tiles": tile_count, **measured}
    columns = [np.zeros((count, 0))]
    for name in names:
        value = np.asarray(known[name] if name in known else row[name], np.float64)
        value = value[:, None] if value.ndim == 1 else value
        columns.append(np.broadcast_to(value, (count, _WIDTHS.get(name, 1))))
    return np.concatenate(columns, axis=1)


def fit_features(names: Sequence[str], raw: Float64[np.ndarray, "tile value"]) -> FeatureTable:
    """Fits the scaling on training tiles; a constant feature is only centred.

    Args:
        names: of the features.
        raw: as `raw_features` gives them.
    """
    scale = raw.std(axis=0)
    return FeatureTable(
        tuple(names),
        tuple(raw.mean(axis=0).tolist()),
        tuple(np.where(scale > 0, scale, 1.0).tolist()),
    )
