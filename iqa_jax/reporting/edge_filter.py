"""Shows people which tiles the edge filter drops from training, and which it just keeps."""

from pathlib import Path

import numpy as np

from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import TileIndex
from iqa_jax.reporting.pages.contact_sheet import write_contact_sheet

_TILES_PER_ROW = 12


def draw_edge_filter(path: Path, source: TileSource, index: TileIndex, low: int, high: int) -> None:
    """Writes a PNG of dropped and borderline tiles, each with its number of edge pixels.

    Args:
        path: the file.
        source, index: of the training tiles.
        low, high: the band of edge pixels that was kept.
    """
    kept = np.stack([index.image_id, index.number, index.edge_sum], axis=1)
    kept = kept[np.argsort(kept[:, 2], kind="stable")]
    flat = index.dropped[index.dropped[:, 2] < low]
    busy = index.dropped[index.dropped[:, 2] > high]
    choices = [
        (f"dropped: fewer than {low} edge pixels ({len(flat)} in all)", _spread(flat)),
        ("kept: the flattest", kept[:_TILES_PER_ROW]),
        ("kept: the busiest", kept[-_TILES_PER_ROW:]),
        (f"dropped: more than {high} edge pixels ({len(busy)} in all)", _spread(busy)),
    ]
    rows = [
        (
            heading,
            np.concatenate(
                [
                    source.tiles(image_id, index.layouts[image_id], np.array([number]))
                    for image_id, number, _ in tiles.tolist()
                ]
            ),
            [str(edges) for edges in tiles[:, 2]],
        )
        for heading, tiles in choices
        if len(tiles)
    ]
    write_contact_sheet(path, rows)


def _spread(tiles: np.ndarray) -> np.ndarray:
    """Chooses tiles evenly over their edge sums."""
    tiles = tiles[np.argsort(tiles[:, 2], kind="stable")]
    return tiles[np.linspace(0, len(tiles) - 1, min(len(tiles), _TILES_PER_ROW)).astype(int)]
