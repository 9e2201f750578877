"""Scores images that have no label: `--mode=predict`, and `load_scorer` from Python."""

import dataclasses
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.batches.ahead import map_ahead
from input_pipeline.batches.given_pictures import GivenPicture, check_pictures, make_inputs
from input_pipeline.batches.listing import (
    Input,
    Listing,
    inputs_of,
    is_of_tiles,
    read_inputs,
    shard_bounds,
)
from input_pipeline.batches.whole_bags import Bag, whole_bags
from input_pipeline.files.file_names import name_text, one_line, slash_hint
from input_pipeline.files.image_files import list_images, tell_passed_over
from input_pipeline.files.images import DECODING, ImageError
from input_pipeline.files.prepared import is_prepared
from input_pipeline.tables.table_files import read_columns
from input_pipeline.tiles.features import COMPUTED, FeatureTable, feature_width
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.kinds.kind import SCORE_KINDS
from iqa_jax.host.lock import locked
from iqa_jax.host.progress import meter, say
from iqa_jax.run import build
from iqa_jax.run.config import config_to_json
from iqa_jax.run.variables import hash_tree, restore_variables
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.ensemble import load_members
from iqa_jax.scoring.fitted.confidence import COLUMNS, Confidence, read_confidence
from iqa_jax.scoring.fitted.thresholds import read_calibration
from iqa_jax.scoring.scorer import scorer_from_config
from iqa_jax.scoring.tables.duplicates import SeenContents
from iqa_jax.scoring.tables.part_files import Parts
from iqa_jax.scoring.tables.rows import answer_row
from iqa_jax.scoring.tables.writers import TABLE_WRITERS

TABLES = (".csv", ".parquet")
# Inputs looked at together; images of several blocks still share a call of the encoder.
_INPUTS_PER_BLOCK, _BYTES_PER_BLOCK = 256, 1 << 28
# Larger images are read by bands where their format allows it.
_WHOLE_PIXELS = 32_000_000
# What a bag says whose content has been seen, and stands for the name of a file in its error.
_KNOWN, _FILE = "scored before", "\0"
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
        self._views = build.views_from_config(self.config)
        self._calibration = read_calibration(workdir, self.config, self.step)
        members = load_members(workdir, self.config)
        self._ensemble = [member.variables for member in members]
        self._scorer = scorer_from_config(
            self.config,
            self.config.uncertainty.passes,
            members=members,
            calibration=self._calibration,
        )

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
            "warning": str,
        }

    def score(self, pictures: Iterable[GivenPicture]) -> pd.DataFrame:
        """Scores pictures.

        Args:
          pictures: paths, RGB arrays [height, width, 3] uint8 or Pillow images, in any iterable.

        Returns:
          One row per picture, in order: `path` (empty where it is none), `score`, `label`,
          `p_<class>` …, `uncertainty`, `mutual_information`, `lower`, `upper`, `ood`, `abstain`,
          `tiles`, `error`, `warning`. What the label kind does not have, or the run has not fitted,
          is None.

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

        Raises:
          WorkdirError: the run needs features that are not there.
          TypeError, ValueError: an element is no picture.
        """
        inputs = make_inputs(pictures, self.config.data.max_pixels)
        pending: dict[int, _Pending] = {}
        for answer in self._scorer.score(self._variables, self._bags(inputs, pending, seen)):
            one, content, is_new = pending.pop(answer.image_id)
            if is_new:
                row = answer_row(self.config, answer, self._thresholds, self._confidence)
                row |= {"path": one.name, "label": row["predicted"]}
                row = {name: row.get(name) for name in self.columns}
                if seen is not None and content:
                    row["content"] = content
                    # Where an error names the file, its copies name theirs.
                    error = row["error"].replace(one_line(str(one.picture)), _FILE)
                    seen.finish(row | {"error": error})
            else:
                row = seen.row_of(content) | {"path": one.name}
                row["error"] = row["error"].replace(_FILE, one_line(str(one.picture)))
            yield row

    def _bags(
        self, inputs: Iterable[Input], pending: dict[int, "_Pending"], seen: SeenContents | None
    ) -> Iterator[Bag]:
        """Gives the bags of inputs in their order, numbered from 0, and notes what they are of."""
        size, threads, first = self.config.tiles.size, self.config.data.threads, 0
        nothing = np.zeros((0, size, size, 3), np.uint8)
        no_features = np.zeros((0, feature_width(self._features.names)), np.float32)
        for block in _blocks(inputs):
            source = TileSource(
                [one.picture for one in block],
                build.tiling_from_config(self.config),
                max_pixels=self.config.data.max_pixels,
                whole_pixels=_WHOLE_PIXELS,
            )
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
                self._features,
                self._table_of(block),
                threads=threads,
                views=self._views,
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
        needed = self.table_features
        if any(name not in one.features for one in block for name in needed):
            raise WorkdirError(
                f"this run also needs {', '.join(needed)} for every image: give a CSV with the "
                "columns path and these."
            )
        return pd.DataFrame([one.features for one in block], columns=needed) if needed else None

    def fingerprint(self) -> dict[str, str]:
        """Tells apart what the answers depend on, besides the pictures."""
        config = self.config.copy_and_resolve_references()
        config.data.threads = config.evaluation.chunk_tiles = 0  # These change no answer.
        fitted = [
            dataclasses.asdict(self._features),
            self._thresholds,
            dataclasses.asdict(self._confidence),
            DECODING,
            {fusion: dataclasses.asdict(found) for fusion, found in self._calibration.items()},
        ]
        return {
            "the checkpoint": hash_tree([self._variables, *self._ensemble]),
            "the settings of the run": hash_tree([config_to_json(config), *fitted]),
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


def predict(
    workdir: Workdir, images: str, output: str, shard: str = "", deduplicate: bool = False
) -> int:
    """Scores the images of a folder, pattern, list or table into a file.

    One row per input, in their order. A start that was stopped, even by a kill, goes on where it
    was when the same command is started again.

    Args:
      workdir: of the run.
      images: a folder, a pattern such as `photos/**/*.jpg`, an image, a `.txt` with a path per
        line, a CSV or Parquet table with a column `path`, or the folder of a prepared data set.
      output: `.csv`, `.jsonl` or `.parquet`; appears when it is complete. Until then its rows are
        in the folder `<output>.parts`.
      shard: `i/n`: score only the i-th (from 0) of n equal parts of the inputs, into
        `<name>-0000i-of-0000n<ending>`.
      deduplicate: score equal files once; every input has its row all the same.

    Returns:
      The exit status: 0, or `SOME_FAILED` if an image has an error instead of a score.

    Raises:
      WorkdirError, CheckpointError, ManifestError, ImageError, InUseError: with a sentence.
    """
    number, count = _parse_shard(shard)
    target = Path(output)
    if target.suffix not in TABLE_WRITERS:
        raise WorkdirError(
            f"--output={output}: the ending must be one of {', '.join(TABLE_WRITERS)}."
        )
    if not target.parent.is_dir():
        hint = slash_hint(target.parent)
        raise WorkdirError(f"--output={output}: there is no folder {target.parent}{hint}.")
    if shard:
        target = target.with_stem(f"{target.stem}-{number:05}-of-{count:05}")
    with locked(target.with_name(target.name + ".lock"), target, "--mode=predict"):
        return _predict_into(target, workdir, images, number, count, deduplicate)


def _predict_into(
    target: Path, workdir: Workdir, images: str, number: int, count: int, deduplicate: bool
) -> int:
    scorer = load_scorer(workdir.folder)
    with open_listing(scorer.config, images, target.parent) as listing, Parts(target) as parts:
        start, stop = shard_bounds(len(listing), number, count)
        parts.open(
            {
                "the list of images": listing.digest,
                "--shard": f"{number}/{count}",
                "--deduplicate": str(deduplicate),
                **scorer.fingerprint(),
            }
        )
        done, tiles, began = parts.done, 0, time.monotonic()
        if done:
            say(f"going on after {done} finished rows in {parts.folder}")
        seen = SeenContents(parts.read()) if deduplicate else None
        rows = scorer.rows(listing.read(start + done, stop), seen)
        with meter("scored", stop - start) as progress:
            for scored, row in enumerate(rows, start=1):
                parts.add(row)
                tiles += row["tiles"]
                seconds = time.monotonic() - began
                rate = f"{scored / seconds:.1f} images/s, {tiles / seconds:.0f} tiles/s"
                progress.update(done + scored, rate)
        errors = parts.finish(scorer.columns)
        say(f"{stop - start} images scored, {errors} with an error instead; see {target}")
        if listing.passed_over:
            say(tell_passed_over(listing.passed_over))
    return SOME_FAILED if errors else 0


def open_listing(
    config: ml_collections.ConfigDict, images: str, folder: Path | None = None
) -> Listing:
    """Finds what `--images` stands for.

    Args:
      config: of the run.
      images: as in `predict`.
      folder: as in `Listing`.

    Raises:
      ManifestError, ImageError: there is nothing, or the table is wrong.
    """
    path, passed_over = Path(images), Counter()
    if is_prepared(path):
        inputs = inputs_of(build.manifest_from_config(config, images, labelled=False))
    elif path.suffix.lower() not in TABLES:
        inputs = (Input(name_text(name), name) for name in list_images(images, passed_over))
    elif is_of_tiles(read_columns(path)):
        inputs = inputs_of(build.manifest_from_config(config, images, labelled=False))
    else:
        inputs = read_inputs(path, [name for name in config.data.features if name not in COMPUTED])
    return Listing(inputs, folder, passed_over)


def _parse_shard(shard: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", shard or "0/1")
    number, count = map(int, match.groups()) if match else (0, 0)
    if number >= count:
        raise WorkdirError(f"--shard={shard}: give i/n with 0 <= i < n, such as 0/8 to 7/8.")
    return number, count
