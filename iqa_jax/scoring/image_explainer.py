"""Explains the score of a picture: `load_explainer`."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import ml_collections
import numpy as np
import pandas as pd
from jaxtyping import UInt8

from input_pipeline.batches.given_pictures import GivenPicture, read_given
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import COMPUTED
from input_pipeline.tiles.sources import Picture, TileSource
from iqa_jax.analysis.kinds.kind import label_of, written_score
from iqa_jax.analysis.maps import Maps
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.ensemble import load_members
from iqa_jax.scoring.explainer import Explainer
from iqa_jax.scoring.fitted.detector import image_anomaly, read_detector
from iqa_jax.scoring.fitted.probe import restore_variables
from iqa_jax.scoring.fitted.thresholds import read_calibration


@dataclasses.dataclass(frozen=True)
class Explanation:
    """An image's answer, and the maps of where it comes from.

    Attributes:
      score, label, tiles: of the image as it is, as `predict` writes them; None, None and 0 with
        an error.
      maps: over the image; None with an error.
      explains: what the Grad-CAM shows: `what speaks for "bad"`.
      anomaly: how unlike good images it is; None with an error or without detector.
      image: RGB; None with an error.
      error: why there is no answer, or empty.
      warning: what is wrong with a picture that has an answer all the same; empty if nothing is.
    """

    score: float | None
    label: str | None
    tiles: int
    maps: Maps | None
    explains: str
    anomaly: float | None
    image: UInt8[np.ndarray, "height width 3"] | None
    error: str = ""
    warning: str = ""


class ImageExplainer:
    """Explains pictures with the best checkpoint of a run. Made by `load_explainer`.

    Args:
      workdir: of the run.
    """

    def __init__(self, workdir: Workdir):
        self.config: ml_collections.ConfigDict = workdir.config()
        self._variables, step = restore_variables(workdir, self.config)
        self._features = workdir.features()
        self._thresholds = workdir.thresholds(step)
        detector = read_detector(workdir, self.config, step)
        self._explainer = Explainer(
            self.config,
            detector,
            load_members(workdir, self.config),
            read_calibration(workdir, self.config, step),
        )

    def explain(self, picture: GivenPicture, of: str = "") -> Explanation:
        """Explains one picture.

        Args:
          picture: a path, an RGB array [height, width, 3] uint8, or a Pillow image.
          of: explain what speaks for this class; empty for what makes an image bad.

        Raises:
          TypeError, ValueError: this is no picture, or there is no such class.
        """
        given = read_given(picture, 0, self.config.data.max_pixels)
        (explanation,) = self.explain_all([given], of=of)
        return explanation

    def explain_all(
        self, pictures: Sequence[Picture], images: pd.DataFrame | None = None, of: str = ""
    ) -> Iterator[Explanation]:
        """Explains pictures in their order; `images` has the features that come with them.

        Raises:
          WorkdirError: the run needs features that are not there.
          ValueError: there is no such class.
        """
        config = self.config
        missing = [name for name in self._features.names if name not in COMPUTED]
        if missing and images is None:
            raise WorkdirError(
                f"this run also needs {', '.join(missing)} for every image: give a CSV with the "
                "columns path and these."
            )
        source = TileSource(
            pictures, build.tiling_from_config(config), max_pixels=config.data.max_pixels
        )
        bags = whole_bags(
            source, range(len(source)), self._features, images, threads=config.host.threads
        )
        for place, explained in enumerate(self._explainer.explain(self._variables, bags, of)):
            answer, image = explained.answer, None
            if not answer.error:
                try:
                    image = source.image(place)
                except ImageError as error:  # It was there a moment ago.
                    answer = dataclasses.replace(answer, error=str(error))
            if answer.error:
                yield Explanation(None, None, 0, None, explained.explains, None, None, answer.error)
                continue
            values, kind = answer.values[config.evaluation.fusion], config.data.label_kind
            yield Explanation(
                score=float(
                    written_score(
                        values,
                        kind,
                        config.data.minimum,
                        config.data.maximum,
                        config.data.higher_is_better,
                    )
                ),
                label=label_of(
                    values, kind, config.data.classes, config.data.marginal, self._thresholds
                ),
                tiles=len(answer.tile_values),
                maps=explained.maps,
                explains=explained.explains,
                anomaly=image_anomaly(config, answer),
                image=image,
                warning=answer.warning,
            )


def load_explainer(workdir: str | Path) -> ImageExplainer:
    """Loads what explains the answers of a run.

    Example:
      >>> explanation = iqa_jax.load_explainer("runs/quickstart").explain("photo.jpg")
      >>> explanation.maps.grad_cam  # [height, width]

    Args:
      workdir: of the run.

    Raises:
      WorkdirError: there is no run.
      CheckpointError: it has no checkpoint that can be read.
    """
    return ImageExplainer(Workdir(workdir))
