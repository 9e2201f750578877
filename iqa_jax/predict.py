"""Scores images that have no label: `--mode=predict`, and `load_scorer` from Python."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.bags import whole_bags
from input_pipeline.features import COMPUTED, FeatureTable
from input_pipeline.images import list_images
from input_pipeline.manifest import Manifest
from input_pipeline.sources import Picture, TileSource, pictures_of
from iqa_jax import setup
from iqa_jax.analysis.answers import SCORE_KINDS
from iqa_jax.confidence import COLUMNS, Confidence, read_confidence
from iqa_jax.predictions import answer_row
from iqa_jax.progress import meter, say
from iqa_jax.scorer import scorer_from_config
from iqa_jax.tables import TABLE_WRITERS
from iqa_jax.variables import restore_variables
from iqa_jax.workdir import Workdir, WorkdirError

TABLES = (".csv", ".parquet")
_ROWS_PER_WRITE = 1000
SOME_FAILED = 3


class QualityScorer:
    """Scores pictures with the best checkpoint of a run. Made by `load_scorer`.

    Args:
      workdir: of the run.
    """

    def __init__(self, workdir: Workdir):
        self.config: ml_collections.ConfigDict = workdir.config()
        self._variables, self.step = restore_variables(workdir, self.config)
        self._features: FeatureTable = workdir.features()
        self._thresholds = workdir.thresholds(self.step)
        self._confidence = read_confidence(workdir, self.config, self.step) or Confidence()
        self._views = setup.views_from_config(self.config)
        self._scorer = scorer_from_config(self.config, self.config.uncertainty.passes)

    @property
    def table_features(self) -> list[str]:
        """Names of the hand-crafted features that must come with the images."""
        return [name for name in self._features.names if name not in COMPUTED]

    @property
    def columns(self) -> dict[str, type]:
        """Names and types of what a row says."""
        data = self.config.data
        classes = () if data.label_kind in SCORE_KINDS else data.classes
        return {
            "path": str,
            "score": float,
            "label": str,
            **{f"p_{name}": float for name in classes},
            **COLUMNS,
            "tiles": int,
            "error": str,
        }

    def score(self, pictures: Sequence[Picture]) -> pd.DataFrame:
        """Scores pictures.

        Args:
          pictures: paths, or RGB arrays [height, width, 3] uint8.

        Returns:
          One row per picture, in order: `path` (empty for arrays), `score`, `label`,
          `p_<class>` …, `uncertainty`, `mutual_information`, `lower`, `upper`, `ood`, `abstain`,
          `tiles`, `error`. What the label kind does not have, or the run has not fitted, is None.

        Raises:
          TypeError, ValueError: this is one picture, or an array is no RGB image.
        """
        if isinstance(pictures, (str, Path)) or getattr(pictures, "ndim", 4) < 4:
            raise TypeError("give a list of pictures, even for one: scorer.score([picture]).")
        for place, picture in enumerate(pictures):
            if isinstance(picture, np.ndarray):
                check_array(picture, place)
        names = ["" if isinstance(picture, np.ndarray) else str(picture) for picture in pictures]
        return pd.DataFrame(self.rows(names, pictures), columns=list(self.columns))

    def rows(
        self,
        names: Sequence[str],
        pictures: Sequence[Picture],
        images: pd.DataFrame | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Scores pictures one after the other; `images` has the features that come with them.

        Raises:
          WorkdirError: the run needs features that are not there.
        """
        if self.table_features and images is None:
            raise WorkdirError(
                f"this run also needs {', '.join(self.table_features)} for every image: give a "
                "CSV with the columns path and these."
            )
        source = TileSource(
            pictures, setup.tiling_from_config(self.config), max_pixels=self.config.data.max_pixels
        )
        bags = whole_bags(
            source,
            range(len(source)),
            self._features,
            images,
            threads=self.config.data.threads,
            views=self._views,
        )
        for answer in self._scorer.score(self._variables, bags):
            row = answer_row(self.config, answer, self._thresholds, self._confidence)
            row |= {"path": names[answer.image_id], "label": row["predicted"]}
            yield {name: row.get(name) for name in self.columns}


def load_scorer(workdir: str | Path) -> QualityScorer:
    """Loads the scorer that a run has trained.

    Example:
      >>> scorer = iqa_jax.load_scorer("runs/quickstart")
      >>> scorer.score(["photo.jpg"])[["path", "score", "label"]]

    Args:
      workdir: of the run.

    Raises:
      WorkdirError: there is no run.
      CheckpointError: it has no checkpoint that can be read.
    """
    return QualityScorer(Workdir(workdir))


def predict(workdir: Workdir, images: str, output: str) -> int:
    """Scores the images of a folder, pattern, list or table into a file.

    Args:
      workdir: of the run.
      images: a folder, a pattern such as `photos/**/*.jpg`, an image, a `.txt` with a path per
        line, or a CSV or Parquet table with a column `path`.
      output: `.csv`, `.jsonl` or `.parquet`; appears when it is complete.

    Returns:
      The exit status: 0, or `SOME_FAILED` if an image has an error instead of a score.

    Raises:
      WorkdirError, CheckpointError, ManifestError, ImageError: with a sentence.
    """
    target = Path(output)
    if target.suffix not in TABLE_WRITERS:
        raise WorkdirError(
            f"--output={output}: the ending must be one of {', '.join(TABLE_WRITERS)}."
        )
    if not target.parent.is_dir():
        raise WorkdirError(f"--output={output}: there is no folder {target.parent}.")
    scorer = load_scorer(workdir.folder)
    names, pictures, table = open_pictures(scorer.config, images)
    part = target.with_name(target.name + ".part")
    errors = 0
    open_writer = TABLE_WRITERS[target.suffix](part, scorer.columns)
    with meter("scored", len(pictures)) as progress, open_writer as write:
        rows: list[dict[str, Any]] = []
        for done, row in enumerate(scorer.rows(names, pictures, table), start=1):
            rows.append(row)
            errors += bool(row["error"])
            if len(rows) == _ROWS_PER_WRITE or done == len(pictures):
                write(rows)
                rows = []
            progress.update(done)
    part.replace(target)
    say(f"{len(pictures)} images scored, {errors} with an error instead; see {target}")
    return SOME_FAILED if errors else 0


def open_pictures(
    config: ml_collections.ConfigDict, images: str
) -> tuple[list[str], Sequence[Picture], pd.DataFrame | None]:
    """Finds what `--images` stands for.

    Args:
      config: of the run.
      images: as in `predict`.

    Returns:
      Names, pictures, and the table they come from, if it is one.

    Raises:
      ManifestError, ImageError: there is nothing, or the table is wrong.
    """
    if Path(images).suffix.lower() in TABLES:
        manifest: Manifest = setup.manifest_from_config(config, images, labelled=False)
        return list(manifest.images["name"]), pictures_of(manifest), manifest.images
    paths = list_images(images)
    return [str(path) for path in paths], paths, None


def check_array(picture: np.ndarray, place: int) -> None:
    """Refuses an array that is no RGB image, by the number of its place among others.

    Raises:
      TypeError, ValueError: with a sentence.
    """
    what = f"picture {place} is an array of {picture.dtype} with shape {picture.shape}"
    if picture.dtype != np.uint8:
        raise TypeError(f"{what}; give uint8 RGB values from 0 to 255.")
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"{what}; give [height, width, 3] in RGB order.")
