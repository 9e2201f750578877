"""Reads a CSV or Parquet file as text cells, and says what is wrong with it in its own rows."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from input_pipeline.prepared import PreparedError, find_table

_PROBLEMS_SHOWN = 50


class ManifestError(ValueError):
    """Says everything that is wrong with a manifest at once.

    Args:
        path: the manifest.
        problems: one sentence each, in the order of the rows.
    """

    def __init__(self, path: Path, problems: Sequence[str]):
        self.problems = list(problems)
        lines = [f"{path}: {count_of(len(self.problems), 'problem')}"]
        lines += [f"  {problem}" for problem in self.problems[:_PROBLEMS_SHOWN]]
        if len(self.problems) > _PROBLEMS_SHOWN:
            lines.append(f"  … and {len(self.problems) - _PROBLEMS_SHOWN} more")
        super().__init__("\n".join(lines))


def read_table(path: Path) -> pd.DataFrame:
    """Reads text cells of a file or a prepared data set, indexed by a spreadsheet's rows."""
    try:
        if path.is_dir():
            table = _read_parquet(find_table(path))
        elif path.suffix.lower() == ".parquet":
            table = _read_parquet(path)
        else:
            table = _parse_csv(path, path.read_bytes())
    except FileNotFoundError as error:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ManifestError(path, [f"no such file{suggest(path.name, near)}"]) from error
    except PreparedError as error:
        raise ManifestError(path, [str(error)]) from error
    except OSError as error:
        raise ManifestError(path, [f"cannot be read: {error.strerror or error}"]) from error
    # Spreadsheets leave rows of empty cells behind.
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise ManifestError(path, ["the table has no rows below its header"])
    return table


def _parse_csv(path: Path, data: bytes) -> pd.DataFrame:
    advice = "save it as 'CSV UTF-8', or as Parquet with the ending .parquet"
    if b"\0" in data:
        raise ManifestError(path, [f"this is not a text file; {advice}"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(path, [f"row {row}: this is not UTF-8 text; {advice}"]) from error
    header_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ManifestError(path, [f"the quotes do not match: {error}"]) from error
    if not records:
        raise ManifestError(path, ["the file is empty"])

    header, *body = [[cell.strip() for cell in record] for record in records]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    problems = [f"column {name!r} appears twice" for name in twice]
    problems += [
        f"row {row}: has {count_of(len(record), 'cell')} where the header has {len(header)}; a "
        f"path or text that contains {delimiter!r} needs quotes around it"
        for row, record in enumerate(body, start=2)
        if len(record) != len(header) and any(record)
    ]
    if problems:
        raise ManifestError(path, problems)
    filled = [record if any(record) else [""] * len(header) for record in body]
    return pd.DataFrame(filled, columns=header, index=range(2, len(body) + 2), dtype=str)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise ManifestError(path, [f"this is not a Parquet file: {error}"]) from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise ManifestError(path, [f"column {name!r} appears twice" for name in twice])
    columns = {}
    for name in table.column_names:
        try:
            texts = table[name].cast(pa.string()).to_pylist()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Lists, pictures and the like: columns that a manifest has no use for.
            continue
        columns[name.strip()] = ["" if text is None else text.strip() for text in texts]
    return pd.DataFrame(columns, index=range(2, table.num_rows + 2), dtype=str)


def suggest(name: str, choices: Iterable[str]) -> str:
    """Ends a message with the choice that was probably meant, or with nothing."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def count_of(number: int, noun: str) -> str:
    """Writes `1 row` or `3 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
