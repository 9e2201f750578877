"""The answer to one image."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from input_pipeline.tiles.faults import Measured
from input_pipeline.tiles.sources import Layout
from iqa_jax.analysis.calibration_map import CalibrationMap


@dataclasses.dataclass(frozen=True)
class Answered:
    """What the network says of one image.

    Attributes:
        image_id: as in the bag.
        values: fusion name -> [values]: probabilities per class, or one score.
        tile_values: [tile, values], the same for every tile alone; never calibrated, for no tile
            has a label of its own that a map could be fitted to.
        attention: [tile], the share of each tile in the network's own fusion.
        layout: of the image; None with an error.
        error: why there is no answer, or empty.
        embedding: [dim], fused.
        samples: [sample, values] of the headline fusion with dropout on; None without any.
        views: [view, values] of the headline fusion; None with an error. With several views,
            `values` and `samples` are their means and the rest is of the first, the image as it is.
        anomaly: [tile], how unlike good tiles each is; None without detector.
        warning: what is wrong with the picture that was read all the same; empty if nothing is.
        measured: of the image, as in the bag.
    """

    image_id: int
    values: Mapping[str, np.ndarray]
    tile_values: np.ndarray
    attention: np.ndarray
    layout: Layout | None
    error: str = ""
    embedding: np.ndarray | None = None
    samples: np.ndarray | None = None
    views: np.ndarray | None = None
    anomaly: np.ndarray | None = None
    warning: str = ""
    measured: Measured = Measured()

    def calibrated(self, maps: Mapping[str, CalibrationMap], headline: str) -> "Answered":
        """Maps the probabilities of the image: the only place where raw ones become calibrated.

        The answer is the map of the mean over views and networks; its samples and views go through
        the same map one by one.

        Args:
            maps: by fusion; a fusion without one stays as it is.
            headline: the fusion that samples and views are of.
        """

        def of_headline(values: np.ndarray | None) -> np.ndarray | None:
            return maps[headline](values) if headline in maps and values is not None else values

        return dataclasses.replace(
            self,
            values={
                name: maps[name](values) if name in maps else values
                for name, values in self.values.items()
            },
            samples=of_headline(self.samples),
            views=of_headline(self.views),
        )
