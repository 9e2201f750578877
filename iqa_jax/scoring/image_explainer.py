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
from input_pipeline.tiles.sources import Picture, TileSource
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.analysis.maps import Maps
from iqa_jax.host.progress import note, say
from iqa_jax.run import build
from iqa_jax.run.packed import open_run
from iqa_jax.scoring.explainer import Explainer, explainer_from_config
from iqa_jax.scoring.fitted.detector import image_anomaly
from iqa_jax.scoring.trained_run import TrainedRun


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
        run: whose answers are explained.
        explainer: of the run.
        tiling: how pictures are cut.
        max_pixels: larger pictures are refused.
        threads: that decode and cut.
    """

    def __init__(
        self,
        run: TrainedRun,
        explainer: Explainer,
        *,
        tiling: Tiling,
        max_pixels: int,
        threads: int,
    ):
        self._run, self._explainer = run, explainer
        self._tiling, self._max_pixels, self._threads = tiling, max_pixels, threads
        if "detector" in run.lacks:
            say(run.lacks["detector"])
        if "calibration" in run.lacks:
            note(run.lacks["calibration"])

    @property
    def score_range(self) -> tuple[float, float]:
        """The ends of a colour bar of scores."""
        return self._run.kind.score_range

    def explain(self, picture: GivenPicture, of: str = "") -> Explanation:
        """Explains one picture.

        Args:
            picture: a path, an RGB array [height, width, 3] uint8, or a Pillow image.
            of: explain what speaks for this class; empty for what makes an image bad.

        Raises:
            TypeError, ValueError: this is no picture, or there is no such class.
        """
        given = read_given(picture, 0, self._max_pixels)
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
        run = self._run
        run.check_features([() if images is None else images.columns])
        source = TileSource(pictures, self._tiling, max_pixels=self._max_pixels)
        bags = whole_bags(source, range(len(source)), run.features, images, threads=self._threads)
        for place, explained in enumerate(self._explainer.explain(run.variables, bags, of)):
            answer, image = explained.answer, None
            if not answer.error:
                try:
                    image = source.image(place)
                except ImageError as error:  # It was there a moment ago.
                    answer = dataclasses.replace(answer, error=str(error))
            if answer.error:
                yield Explanation(None, None, 0, None, explained.explains, None, None, answer.error)
                continue
            values, kind = answer.values[run.headline], run.kind
            yield Explanation(
                score=float(kind.written_score(values)),
                label=kind.label_of(values, run.thresholds),
                tiles=len(answer.tile_values),
                maps=explained.maps,
                explains=explained.explains,
                anomaly=image_anomaly(run.settings.detector, answer),
                image=image,
                warning=answer.warning,
            )


def load_explainer(workdir: str | Path = "") -> ImageExplainer:
    """Loads what explains the answers of a run, or of the built-in scorer of photographs.

    Example:
      >>> explanation = iqa_jax.load_explainer("runs/quickstart").explain("photo.jpg")
      >>> explanation.maps.grad_cam  # [height, width]

    Args:
        workdir: of the run, or its file; by default the scorer of photographs.

    Raises:
        WorkdirError: there is no run.
        CheckpointError: it has no checkpoint that can be read.
    """
    folder = open_run(workdir)
    return image_explainer_from_config(folder.config(), TrainedRun.open(folder))


def image_explainer_from_config(
    config: ml_collections.ConfigDict, run: TrainedRun
) -> ImageExplainer:
    return ImageExplainer(
        run,
        explainer_from_config(config, run.detector, run.members, run.calibration or {}),
        tiling=build.tiling_from_config(config),
        max_pixels=config.data.max_pixels,
        threads=config.host.threads,
    )
