"""Rows of a manifest of opinion scores, for baselines."""

from pathlib import Path

import numpy as np

from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.studies.baselines.rows import Rows

LABEL = LabelSpec("numeric", minimum=0.0, maximum=100.0)


def open_rows(path: Path) -> list[Rows]:
    """Gives the rows to fit on and those to test on."""
    manifest = read_manifest(path, LABEL)
    source = TileSource(pictures_of(manifest), Tiling(32, 32), max_pixels=10**6)
    is_test = (manifest.images["split"] == "test").to_numpy()
    return [Rows(manifest, source, np.flatnonzero(part)) for part in (~is_test, is_test)]
