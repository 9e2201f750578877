"""Which tiles there are to train on, and what was measured of them."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from jaxtyping import Int

from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import (
    FeatureTable,
    Measured,
    fit_features,
    measure_tiles,
    raw_features,
)
from input_pipeline.tiles.sources import Layout, TileSource
from input_pipeline.tiles.tiling import within_band

NO_LIMIT = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class TileIndex:
    """The tiles that training may use.

    Attributes:
        image_id: [tile] row in the manifest.
        number: [tile] place in the image's grid.
        measured: feature -> what it is for every tile; `edge_sum` always.
        layouts: image_id -> layout.
        dropped: [tile, 3] image_id, number and edge sum of the tiles outside the band.
        errors: image_id -> why none of its tiles is here.
    """

    image_id: Int[np.ndarray, " tile"]
    number: Int[np.ndarray, " tile"]
    measured: Measured
    layouts: Mapping[int, Layout]
    dropped: Int[np.ndarray, "dropped 3"]
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.image_id)

    @property
    def edge_sum(self) -> Int[np.ndarray, " tile"]:
        """Canny edge pixels of every tile."""
        return self.measured["edge_sum"]

    def measured_of(self, rows: np.ndarray) -> Measured:
        """Gives what was measured on some of the tiles."""
        return {name: values[rows] for name, values in self.measured.items()}


def index_tiles(
    source: TileSource,
    image_ids: Collection[int],
    *,
    low: int,
    high: int = NO_LIMIT,
    measures: Sequence[str] = ("edge_sum",),
    threads: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> TileIndex:
    """Measures all tiles of some images and keeps those whose edge sum is in the band.

    Args:
        source: of the tiles.
        image_ids: pictures of the source.
        low, high: the band of edge pixels per tile, both ends kept.
        measures: features to measure. Without `edge_sum` all edge sums are called 0, and without
            any, only headers are read.
        threads: images looked at at once.
        progress: called with the number of images done.
    """

    def measure(image_id):
        try:
            layout = source.layout(image_id)
            measured = {"edge_sum": np.zeros(len(layout.grid.origins), np.int64)}
            if measures:
                tiles, masks = source.tiles(image_id, layout), source.pixel_masks(layout)
                measured |= measure_tiles(measures, tiles, masks)
            return layout, measured
        except ImageError as error:
            return None, str(error)

    layouts, errors, rows, parts = {}, {}, [], []
    with ThreadPoolExecutor(threads) as pool:
        for done, (image_id, (layout, found)) in enumerate(
            zip(image_ids, pool.map(measure, image_ids), strict=True), start=1
        ):
            if isinstance(found, str):
                errors[image_id] = found
            else:
                layouts[image_id] = layout
                sums = found["edge_sum"]
                ids = np.full(len(sums), image_id)
                rows.append(np.stack([ids, np.arange(len(sums)), sums], axis=1))
                parts.append(found)
            progress(done)
    table = np.concatenate(rows) if rows else np.zeros((0, 3), np.int64)
    is_kept = within_band(table[:, 2], low, high)
    measured = {"edge_sum": table[is_kept, 2]}
    for name in parts[0] if parts else ():
        measured[name] = np.concatenate([part[name] for part in parts])[is_kept]
    kept_ids, numbers = table[is_kept, :2].T
    return TileIndex(kept_ids, numbers, measured, layouts, table[~is_kept], errors)


def without_tiles(index: TileIndex, dropped: Collection[tuple[int, int, int]]) -> TileIndex:
    """Takes tiles out of an index.

    Args:
        index: of the tiles that training may use.
        dropped: (image_id, row, column) of tiles; those that are not in the index are nothing to
            it.
    """
    places = zip(index.image_id.tolist(), index.number.tolist(), strict=True)
    is_kept = np.array(
        [
            (image_id, *index.layouts[image_id].grid.positions[number].tolist()) not in dropped
            for image_id, number in places
        ],
        bool,
    )
    return dataclasses.replace(
        index,
        image_id=index.image_id[is_kept],
        number=index.number[is_kept],
        measured=index.measured_of(is_kept),
    )


def rows_by_image(index: TileIndex) -> list[Int[np.ndarray, " _"]]:
    """Gives the rows of an index, image by image."""
    _, starts = np.unique(index.image_id, return_index=True)
    return np.split(np.arange(len(index)), starts[1:])


def fit_index_features(
    names: Sequence[str], index: TileIndex, images: pd.DataFrame
) -> FeatureTable:
    """Fits the scaling of hand-crafted features on the tiles of an index."""
    raw = []
    for rows in rows_by_image(index):
        image_id = int(index.image_id[rows[0]])
        tile_count = len(index.layouts[image_id].grid.origins)
        measured, row = index.measured_of(rows), images.loc[image_id]
        raw.append(raw_features(names, measured, len(rows), tile_count, row))
    return fit_features(names, np.concatenate(raw))
