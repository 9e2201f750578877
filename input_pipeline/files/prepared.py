"""Reads data sets that `--mode=prepare` has written, file by file and without TensorFlow.

Such a folder is an ordinary TFDS data set of ArrayRecord shards with two more files: `iqa_jax.json`
says what it was made from, and `manifest.parquet` is the manifest's own table with the record that
holds each row's file. So the table is read by the code that reads every manifest, and a record is
one more kind of file: it is named like `FOLDER/train[17]` and holds the bytes of the original.
"""

import errno
import functools
import io
import json
import os
import re
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pandas as pd

from input_pipeline.extras import MissingExtraError, extra

# Goes up when what was written before can no longer be read as it was meant.
FORMAT = 1
MARK, TABLE = "iqa_jax.json", "manifest.parquet"
# Columns that say which record of which TFDS split a row's file is.
SPLIT_COLUMN, INDEX_COLUMN = "tfds_split", "tfds_index"

_RECORD = re.compile(r"(?P<folder>.+)/(?P<split>[\w-]+)\[(?P<index>\d+)\]")
# Opening imports parts of TFDS. Threads that do it at once can wait for each other for ever, one
# for a module's lock and the other for that of a cached property.
_opening = threading.Lock()


class PreparedError(ValueError):
    """Says why a folder is no prepared data set."""


def find_table(folder: Path) -> Path:
    """Finds the table of a prepared data set.

    Raises:
        PreparedError: the folder holds none, an unfinished one, or one of another version.
    """
    if not is_prepared(folder):
        raise PreparedError(
            f"this folder is no data set that --mode=prepare has written (it has no {MARK}); name "
            "one, or a manifest file"
        )
    about = read_mark(folder)
    if about.get("format") != FORMAT:
        raise PreparedError(
            f"this data set was prepared in format {about.get('format')}, and this version of "
            f"iqa_jax reads format {FORMAT}; prepare it again"
        )
    if not (folder / TABLE).is_file():
        raise PreparedError(
            "this data set is not finished; run the same --mode=prepare command again, which goes "
            "on where it stopped"
        )
    return folder / TABLE


def is_prepared(folder: Path) -> bool:
    """Says whether a folder is, or is to become, a prepared data set."""
    return (folder / MARK).is_file()


def read_mark(folder: Path) -> dict:
    """Reads what a prepared data set was made from; empty if its file is damaged."""
    try:
        about = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def record_paths(folder: Path, table: pd.DataFrame) -> list[str]:
    """Names the record of each row of a prepared data set's table."""
    paths = [
        f"{folder.as_posix()}/{split}[{index}]"
        for split, index in zip(table[SPLIT_COLUMN], table[INDEX_COLUMN], strict=True)
    ]
    # Threads will read them: what TFDS imports at the first record is imported before they start.
    for path in paths[:1]:
        with suppress(OSError):  # Whoever needs a record is told what is wrong with it.
            open_file(path).close()
    return paths


def open_file(path: str | os.PathLike) -> io.BytesIO | io.BufferedReader:
    """Opens an image file on disk, or the record of a prepared data set that holds one.

    Args:
        path: of a file, or of a record as `record_paths` names it.

    Raises:
        OSError: it cannot be read.
    """
    match = _RECORD.fullmatch(str(path))
    if match is None or not is_prepared(Path(match["folder"])):
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, which would be waited for without end")
        return open(path, "rb")
    try:
        with _opening:
            split = _open_split(match["folder"], match["split"])
        record = split[int(match["index"])]
    except MissingExtraError:
        raise
    except Exception as error:  # TFDS and ArrayRecord raise many types for missing files.
        raise OSError(f"the record cannot be read: {error}") from error
    return io.BytesIO(record["image"])


@functools.lru_cache
def _open_split(folder: str, split: str):
    with extra("prepare"):
        import tensorflow_datasets as tfds

    # The original bytes: there is one decoder in this program.
    decoders = {"image": tfds.decode.SkipDecoding()}
    return tfds.builder_from_directory(folder).as_data_source(split, decoders=decoders)
