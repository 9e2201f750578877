"""Writes tables of results row by row, so that their length costs no memory."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

Rows = Sequence[Mapping[str, Any]]


@contextmanager
def _csv_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        yield writer.writerows


@contextmanager
def _json_lines_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: Rows) -> None:
            for row in rows:
                line = {name: row.get(name) for name in columns}
                file.write(json.dumps(line) + "\n")

        yield write


@contextmanager
def _parquet_writer(path: Path, columns: Mapping[str, type]) -> Iterator[Callable[[Rows], None]]:
    types = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(rows: Rows) -> None:
            # Parquet holds UTF-8 only; file names may be anything.
            clean = [
                {
                    name: value.encode("utf-8", "backslashreplace").decode()
                    if isinstance(value, str)
                    else value
                    for name, value in row.items()
                }
                for row in rows
            ]
            writer.write_table(pa.Table.from_pylist(clean, schema))

        yield write


TABLE_WRITERS: dict[
    str, Callable[[Path, Mapping[str, type]], AbstractContextManager[Callable[[Rows], None]]]
] = {".csv": _csv_writer, ".jsonl": _json_lines_writer, ".parquet": _parquet_writer}
