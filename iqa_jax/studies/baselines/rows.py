"""What a baseline is, and what it sees and says."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import ml_collections
import numpy as np
from jaxtyping import Float, Int, Shaped

from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource


@dataclasses.dataclass(frozen=True)
class Rows:
    """Images of a manifest with opinion scores.

    Attributes:
        manifest, source: of the images.
        image_ids: which of them.
    """

    manifest: Manifest
    source: TileSource
    image_ids: Int[np.ndarray, " image"]

    @property
    def labels(self) -> Float[np.ndarray, " image"]:
        """Their opinion scores, higher is better; what is tested on is not asked for them."""
        return self.manifest.images["label"].to_numpy(np.float64)[self.image_ids]

    @property
    def groups(self) -> Shaped[np.ndarray, " image"]:
        """Names of their groups."""
        return self.manifest.images["group"].to_numpy()[self.image_ids]


class Answers(NamedTuple):
    """What a baseline says of images.

    Attributes:
        scores: on the scale of the labels, higher is better; NaN with an error.
        errors: why there is no score, or empty.
    """

    scores: Float[np.ndarray, " image"]
    errors: Sequence[str]


Predict = Callable[[Rows], Answers]
# (config of the split's run, rows to fit on, a folder of its own) -> how it answers others.
Baseline = Callable[[ml_collections.ConfigDict, Rows, Path], Predict]
