"""Writes tables of results row by row, so that their length costs no memory.

All are UTF-8, whatever files are called: see `file_names`.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from input_pipeline.extras import extra
from input_pipeline.files.file_names import name_text

Rows = Sequence[Mapping[str, Any]]


def _as_text(row: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    values = {name: row.get(name) for name in columns}
    return {
        name: name_text(value) if isinstance(value, str) else value
        for name, value in values.items()
    }


@contextmanager
def _csv_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()

        def write(rows: Rows) -> None:
            writer.writerows(_as_text(row, columns) for row in rows)
            file.flush()  # A kill leaves what has been written.

        yield write


@contextmanager
def _json_lines_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: Rows) -> None:
            for row in rows:
                file.write(json.dumps(_as_text(row, columns)) + "\n")

        yield write


@contextmanager
def _parquet_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    with extra("parquet"):
        import pyarrow as pa
        import pyarrow.parquet
    types = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    # Opened here: Arrow takes no path that is not UTF-8.
    with path.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:

        def write(rows: Rows) -> None:
            clean = [_as_text(row, columns) for row in rows]
            writer.write_table(pa.Table.from_pylist(clean, schema))

        yield write


TABLE_WRITERS: dict[
    str, Callable[[Path, Mapping[str, type]], AbstractContextManager[Callable[[Rows], None]]]
] = {".csv": _csv_writer, ".jsonl": _json_lines_writer, ".parquet": _parquet_writer}


def check_writer(ending: str) -> None:
    """Finds out before there is a row to write whether the package that writes it is there.

    Raises:
        MissingExtraError: it is not.
    """
    if ending == ".parquet":
        with extra("parquet"):
            import pyarrow.parquet  # noqa: F401
