"""Shows where images are bad: `--mode=explain`, and `load_explainer` from Python."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import ml_collections
import numpy as np
import pandas as pd
from jaxtyping import UInt8

from input_pipeline.batches.given_pictures import GivenPicture, read_given
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files.file_names import one_line
from input_pipeline.files.image_files import tell_passed_over
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import COMPUTED
from input_pipeline.tiles.sources import Picture, TileSource
from iqa_jax.analysis.kinds.kind import SCORE_KINDS, label_of, written_score
from iqa_jax.analysis.maps import Maps
from iqa_jax.host.lock import sole_writer
from iqa_jax.host.progress import meter, say
from iqa_jax.modes.predict import SOME_FAILED, open_listing
from iqa_jax.reporting.figure_folder import COLUMNS, INDEX, PART, clear_folder, stem_of
from iqa_jax.run import build
from iqa_jax.run.variables import restore_variables
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.ensemble import load_members
from iqa_jax.scoring.explainer import Explainer
from iqa_jax.scoring.fitted.detector import image_anomaly, read_detector
from iqa_jax.scoring.fitted.thresholds import read_calibration
from iqa_jax.scoring.tables.writers import TABLE_WRITERS


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
            source, range(len(source)), self._features, images, threads=config.data.threads
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


def explain(workdir: Workdir, images: str, output: str) -> int:
    """Writes a figure and the maps of every image into a folder, and `index.csv` of them.

    `NUMBER_name.png` has the photograph, tile scores, attention and Grad-CAM side by side, and the
    anomaly where the run has a detector;
    `NUMBER_name.npz` the maps [rows, columns] float32, `step` (pixels per cell), `height`,
    `width` and `score`. `index.csv` has a row per image, those with an error included, and
    appears when all are done. What an earlier start has written into the folder goes first.

    Args:
      workdir: of the run.
      images: as in `predict`.
      output: the folder, which holds nothing else; made if needed.

    Returns:
      The exit status: 0, or `SOME_FAILED` if an image has an error instead of a figure.

    Raises:
      WorkdirError, CheckpointError, ManifestError, ImageError, InUseError: with a sentence.
    """
    folder = Path(output)
    if folder.suffix in TABLE_WRITERS or folder.is_file():
        raise WorkdirError(
            f"--output={output}: --mode=explain writes a folder of figures; give --output=FOLDER."
        )
    with sole_writer(folder, "--mode=explain"):
        return _explain_into(folder, workdir, images)


def _explain_into(folder: Path, workdir: Workdir, images: str) -> int:
    explainer = load_explainer(workdir.folder)
    with open_listing(explainer.config, images) as listing:
        inputs = list(listing.read())
    names, pictures = [one.name for one in inputs], [one.picture for one in inputs]
    table = pd.DataFrame([one.features for one in inputs]) if inputs[0].features else None
    clear_folder(folder, (one for one in pictures if isinstance(one, (str, os.PathLike))))
    part, errors = folder / PART, 0
    open_writer = TABLE_WRITERS[".csv"](part, COLUMNS)
    with meter("explained", len(pictures)) as progress, open_writer as write:
        explanations = explainer.explain_all(pictures, table)
        for place, (name, explanation) in enumerate(zip(names, explanations, strict=True)):
            row = {name: getattr(explanation, name) for name in ("error", "warning", "tiles")}
            row |= {"path": name}
            if explanation.error:
                errors += 1
                write([row])
            else:
                stem = stem_of(place, name)
                row |= {"figure": f"{stem}.png", "maps": f"{stem}.npz"}
                row |= {name: getattr(explanation, name) for name in ("score", "label", "anomaly")}
                # The row first: what a kill leaves behind is then listed.
                write([row])
                _write_files(folder / stem, name, explanation, explainer.config)
            progress.update(place + 1)
    part.replace(folder / INDEX)
    say(f"{len(pictures)} images explained, {errors} with an error instead; see {folder}")
    if listing.passed_over:
        say(tell_passed_over(listing.passed_over))
    return SOME_FAILED if errors else 0


def _write_files(
    target: Path, name: str, explanation: Explanation, config: ml_collections.ConfigDict
) -> None:
    """Writes the figure and the maps: the target with the endings .png and .npz."""
    # Imports matplotlib: only figures need it.
    from iqa_jax.reporting.pages.overlays import draw_overlays
    from iqa_jax.reporting.pages.pictures import thumbnail

    data, maps, image = config.data, explanation.maps, explanation.image
    label = f"  {explanation.label}" if explanation.label else ""
    draw_overlays(
        Path(f"{target}.png"),
        thumbnail(image),
        image.shape[:2],
        maps,
        title=f"{one_line(Path(name).name)}   score {explanation.score:.3f}{label}",
        explains=explanation.explains,
        score_range=(data.minimum, data.maximum) if data.label_kind in SCORE_KINDS else (0.0, 1.0),
    )
    np.savez_compressed(
        f"{target}.npz",
        **{name: values for name, values in maps._asdict().items() if values is not None},
        height=image.shape[0],
        width=image.shape[1],
        score=explanation.score,
    )
