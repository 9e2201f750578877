"""Scores pictures that have no label: `load_scorer`."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.batches.ahead import map_ahead
from input_pipeline.batches.given_pictures import GivenPicture, check_pictures, make_inputs
from input_pipeline.batches.listing import Input
from input_pipeline.batches.whole_bags import Bag, whole_bags
from input_pipeline.files.file_names import one_line
from input_pipeline.files.images import DECODING, ImageError
from input_pipeline.tiles.faults import Measured
from input_pipeline.tiles.features import feature_width
from input_pipeline.tiles.sources import Picture, TileSource
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.analysis.kinds import Kind
from iqa_jax.host.progress import note
from iqa_jax.run import build
from iqa_jax.run.key_roles import run_part
from iqa_jax.run.packed import open_run
from iqa_jax.run.variables import hash_tree
from iqa_jax.scoring.fitted.confidence import COLUMNS, Confidence
from iqa_jax.scoring.scorer import Scorer, scorer_from_config
from iqa_jax.scoring.tables.duplicates import SeenContents
from iqa_jax.scoring.tables.rows import answer_row, measured_row
from iqa_jax.scoring.trained_run import TrainedRun

# Inputs looked at together; images of several blocks still share a call of the encoder.
_INPUTS_PER_BLOCK, _BYTES_PER_BLOCK = 256, 1 << 28
# Larger images are read by bands where their format allows it.
_WHOLE_PIXELS = 32_000_000
# More are not drawn on a picture, and would be most of a row.
_MOST_TILE_SCORES = 400
# What a bag says whose content has been seen, and stands for the name of a file in its error.
_KNOWN, _FILE = "scored before", "\0"


class QualityScorer:
    """Scores pictures with the best checkpoint of a run. Made by `load_scorer`.

    Args:
        run: whose answers are asked for.
        scorer: of the run.
        tiling: how pictures are cut.
        max_pixels: larger pictures are refused, unless they can be read by bands.
        threads: that decode and cut.
        about: what the run is, as JSON; a part of the fingerprint.
    """

    def __init__(
        self,
        run: TrainedRun,
        scorer: Scorer,
        *,
        tiling: Tiling,
        max_pixels: int,
        threads: int,
        about: str,
    ):
        self._run, self._scorer, self._about = run, scorer, about
        self._tiling, self._max_pixels, self._threads = tiling, max_pixels, threads
        if "calibration" in run.lacks:
            note(run.lacks["calibration"])
        self._confidence = run.confidence or Confidence()

    @property
    def kind(self) -> Kind:
        """Says what scores mean."""
        return self._run.kind

    @property
    def columns(self) -> dict[str, type]:
        """Names and types of what a row says."""
        return {
            "path": str,
            "score": float,
            "label": str,
            **{f"p_{name}": float for name in self._run.kind.classes},
            **COLUMNS,
            "tiles": int,
            **dict.fromkeys(Measured._fields, float),
            "fault": str,
            "error": str,
            "warning": str,
        }

    def score(self, pictures: Iterable[GivenPicture]) -> pd.DataFrame:
        """Scores pictures.

        Args:
            pictures: paths, RGB arrays [height, width, 3] uint8 or Pillow images, in any iterable.

        Returns:
            One row per picture, in order: `path` (empty where it is none), `score`, `label`,
            `p_<class>` …, `uncertainty`, `mutual_information`, `lower`, `upper`, `ood`, `abstain`,
            `tiles`, `sharpness`, `noise`, `exposure`, `blockiness`, `fault`, `error`, `warning`.
            What the label kind does not have, the run has not fitted, or cannot be measured of the
            picture, is None.

        Raises:
            TypeError, ValueError: this is one picture, or an element is none.
        """
        check_pictures(pictures)
        return pd.DataFrame(self.rows(pictures), columns=list(self.columns))

    def rows(
        self, pictures: Iterable[GivenPicture | Input], seen: SeenContents | None = None
    ) -> Iterator[dict[str, Any]]:
        """Scores pictures one after the other, in memory that does not grow with their number.

        Args:
            pictures: as in `score`, or inputs; of any number, an endless one too.
            seen: with it, equal files (and features) are scored once; a row then also says its
                `content`.

        Returns:
            Rows with `columns` and, besides, the `tile_scores` of images of no more than some
            hundred tiles.

        Raises:
            WorkdirError: the run needs features that are not there.
            TypeError, ValueError: an element is no picture.
        """
        inputs = make_inputs(pictures, self._max_pixels)
        pending: dict[int, _Pending] = {}
        for answer in self._scorer.score(self._run.variables, self._bags(inputs, pending, seen)):
            one, content, is_new = pending.pop(answer.image_id)
            if is_new or seen is None:
                row: dict[str, Any] = answer_row(
                    self._run.settings.confidence, answer, self._run.thresholds, self._confidence
                )
                row |= {"path": one.name, "label": row["predicted"]}
                row |= measured_row(answer.measured)
                row = {name: row.get(name) for name in self.columns}
                if len(answer.tile_values) <= _MOST_TILE_SCORES:
                    scores = self.kind.written_score(answer.tile_values)
                    row["tile_scores"] = np.round(scores.astype(float), 4).tolist()
                if seen is not None and content:
                    row["content"] = content
                    # Where an error names the file, its copies name theirs.
                    error = row["error"].replace(one_line(str(one.picture)), _FILE)
                    seen.finish(row | {"error": error})
            else:
                row = seen.row_of(content) | {"path": one.name}
                row["error"] = row["error"].replace(_FILE, one_line(str(one.picture)))
            yield row

    def source_of(self, pictures: Sequence[Picture]) -> TileSource:
        """Gives the tiles of pictures as they are scored."""
        return TileSource(
            pictures, self._tiling, max_pixels=self._max_pixels, whole_pixels=_WHOLE_PIXELS
        )

    def _bags(
        self, inputs: Iterable[Input], pending: dict[int, "_Pending"], seen: SeenContents | None
    ) -> Iterator[Bag]:
        """Gives the bags of inputs in their order, numbered from 0, and notes what they are of."""
        size, threads, first = self._tiling.size, self._threads, 0
        nothing = np.zeros((0, size, size, 3), np.uint8)
        no_features = np.zeros((0, feature_width(self._run.features.names)), np.float32)
        for block in _blocks(inputs):
            source = self.source_of([one.picture for one in block])
            contents, is_new = [""] * len(block), [True] * len(block)
            if seen is not None:
                hash_one = partial(_content, source, block)
                contents = list(map_ahead(hash_one, range(len(block)), threads=threads))
                is_new = [not content or seen.begin(content) for content in contents]
            for place, one in enumerate(block):
                pending[first + place] = _Pending(one, contents[place], is_new[place])
            bags = whole_bags(
                source,
                np.flatnonzero(is_new),
                self._run.features,
                self._table_of(block),
                threads=threads,
                views=self._run.views,
                is_measured=True,
            )
            place = 0
            for bag in bags:
                for skipped in range(place, bag.image_id):
                    yield Bag(first + skipped, nothing, no_features, None, _KNOWN)
                place = bag.image_id + 1
                yield dataclasses.replace(bag, image_id=first + bag.image_id)
            for skipped in range(place, len(block)):
                yield Bag(first + skipped, nothing, no_features, None, _KNOWN)
            first += len(block)

    def _table_of(self, block: Sequence[Input]) -> pd.DataFrame | None:
        """Lays out the features that came with inputs."""
        self._run.check_features(one.features for one in block)
        needed = self._run.table_features
        return pd.DataFrame([one.features for one in block], columns=needed) if needed else None

    def fingerprint(self) -> dict[str, str]:
        """Tells apart what the answers depend on, besides the pictures."""
        run = self._run
        fitted = [
            dataclasses.asdict(run.features),
            run.thresholds,
            dataclasses.asdict(self._confidence),
            DECODING,
            list(self.columns),
            {name: dataclasses.asdict(found) for name, found in (run.calibration or {}).items()},
        ]
        networks = [run.variables, *(member.variables for member in run.members)]
        return {
            "the checkpoint": hash_tree(networks),
            "the settings of the run": hash_tree([self._about, *fitted]),
        }


def _blocks(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    """Groups inputs, fewer of them where they hold their pixels."""
    block, held = [], 0
    for one in inputs:
        block.append(one)
        held += one.picture.nbytes if isinstance(one.picture, np.ndarray) else 0
        if len(block) == _INPUTS_PER_BLOCK or held >= _BYTES_PER_BLOCK:
            yield block
            block, held = [], 0
    if block:
        yield block


class _Pending(NamedTuple):
    """An input on its way: its content, if that is asked for, and whether it is scored itself."""

    input: Input
    content: str
    is_new: bool


def _content(source: TileSource, block: Sequence[Input], place: int) -> str:
    """Hashes what an answer depends on; empty where the picture cannot be read."""
    try:
        return source.content(place) + json.dumps(block[place].features, sort_keys=True)
    except ImageError:
        return ""


def load_scorer(workdir: str | Path = "") -> QualityScorer:
    """Loads the scorer that a run has trained, or the built-in scorer of photographs.

    Example:
      >>> scorer = iqa_jax.load_scorer("runs/quickstart")
      >>> scorer.score(["photo.jpg"])[["path", "score", "label"]]

    Args:
        workdir: of the run, or its file; by default the scorer of photographs.

    Raises:
        WorkdirError: there is no run.
        CheckpointError: it has no checkpoint that can be read.
    """
    folder = open_run(workdir)
    return quality_scorer_from_config(folder.config(), TrainedRun.open(folder))


def quality_scorer_from_config(config: ml_collections.ConfigDict, run: TrainedRun) -> QualityScorer:
    """Makes what scores pictures with a run.

    Args:
        config: of the run.
        run: opened.
    """
    scorer = scorer_from_config(
        config,
        config.uncertainty.mc_samples,
        members=run.members,
        calibration=run.calibration or {},
    )
    return QualityScorer(
        run,
        scorer,
        tiling=build.tiling_from_config(config),
        max_pixels=config.data.max_pixels,
        threads=config.host.threads,
        about=json.dumps(run_part(config), sort_keys=True),
    )
