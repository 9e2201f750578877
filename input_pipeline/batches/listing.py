"""What there is to score, as a stream: a list of any length costs disk, not memory.

A folder, a pattern, a `.txt` list or a table is read through once, into a temporary file. What
comes later sees that file, whatever happens to the folder or the table in the meantime.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from input_pipeline.files.images import ImageError
from input_pipeline.tables.cells import TILE_COLUMNS
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import stream_table
from input_pipeline.tiles.sources import CutTiles, Picture, pictures_of


class Input(NamedTuple):
    """One picture to score.

    Attributes:
        name: what its row is called, as `name_text` writes it.
        picture: where it is, or an `ImageError` if its row of the table cannot be used.
        features: hand-crafted features that come with it.
    """

    name: str
    picture: Picture
    features: Mapping[str, float] = {}


class Listing:
    """Inputs in their order, kept in a temporary file; closed by `with`.

    Args:
        inputs: none of them an array.
        folder: for the temporary file; None for the system's.
        passed_over: counts of files that are no inputs, complete when all inputs are read.

    Attributes:
        digest: sha256 of all inputs.
        passed_over: as above.
    """

    def __init__(
        self,
        inputs: Iterable[Input],
        folder: Path | None = None,
        passed_over: Mapping[str, int] = MappingProxyType({}),
    ):
        self.passed_over = passed_over
        self._file = tempfile.TemporaryFile(dir=folder)
        self._length, digest = 0, hashlib.sha256()
        try:
            for one in inputs:
                line = _to_line(one)
                digest.update(line)
                self._file.write(line)
                self._length += 1
        except BaseException:
            self._file.close()
            raise
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Input]:
        """Gives the inputs from `start` to `stop`, not among them; one reader at a time."""
        self._file.seek(0)
        for number in range(self._length if stop is None else stop):
            line = self._file.readline()
            if number >= start:
                yield _from_line(line)


def shard_bounds(total: int, shard: int, shards: int) -> tuple[int, int]:
    """Gives the first row of a shard and the one after its last.

    The shards are disjoint, hold every row, and follow each other in the rows' order.

    Args:
        total: rows.
        shard: number of the shard, from 0.
        shards: how many there are.
    """
    return total * shard // shards, total * (shard + 1) // shards


def read_inputs(path: str | os.PathLike, features: Sequence[str]) -> Iterator[Input]:
    """Reads the rows of a table of images; a row that cannot be used is an input with an error.

    Args:
        path: CSV or Parquet with a column `path`, relative to the table's folder, and `features`.
        features: numeric columns to keep.

    Raises:
        ManifestError: the file or its columns are not as described.
    """
    path = Path(path).absolute()
    for row, cells in stream_table(path, ["path", *features]):
        name, numbers = cells["path"], {key: _to_number(cells[key]) for key in features}
        problems = [
            f"the feature {key!r} is not a number: {cells[key]!r}"
            for key, number in numbers.items()
            if not math.isfinite(number)
        ]
        if not name or "\0" in name:
            problems.insert(0, "the path is empty" if not name else "the path is no text")
        if problems:
            error = ImageError(f"{path}: row {row}: {'; '.join(problems)}.")
            yield Input(name, error, dict.fromkeys(features, 0.0))
        else:
            yield Input(name, os.path.normpath(path.parent / name), numbers)


def inputs_of(manifest: Manifest) -> Iterator[Input]:
    """Gives the images of a manifest, also those that are given as tiles already cut."""
    features = list(manifest.feature_names)
    rows = zip(manifest.images["name"], pictures_of(manifest), strict=True)
    for image_id, (name, picture) in enumerate(rows):
        numbers = {key: float(manifest.images.at[image_id, key]) for key in features}
        yield Input(name, picture, numbers)


def is_of_tiles(columns: Iterable[str]) -> bool:
    """Says whether the rows of a table with these columns are tiles already cut."""
    return set(TILE_COLUMNS) <= set(columns)


def _to_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if abs(number) <= np.finfo(np.float32).max else math.nan


def _to_line(one: Input) -> bytes:
    picture = one.picture
    if isinstance(picture, CutTiles):
        kind, what = "tiles", [list(picture.paths), picture.positions.tolist()]
    elif isinstance(picture, ImageError):
        kind, what = "error", str(picture)
    else:
        kind, what = "file", str(picture)
    return json.dumps([one.name, kind, what, one.features]).encode() + b"\n"


def _from_line(line: bytes) -> Input:
    name, kind, what, features = json.loads(line)
    if kind == "tiles":
        picture = CutTiles(tuple(what[0]), np.array(what[1], np.int32))
    else:
        picture = ImageError(what) if kind == "error" else what
    return Input(name, picture, features)
