"""Reads a CSV or Parquet file as text cells, and says what is wrong with it in its own rows."""

import csv
import difflib
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from input_pipeline.extras import extra
from input_pipeline.files.file_names import name_text, one_line, slash_hint
from input_pipeline.files.prepared import PreparedError, find_table

_PROBLEMS_SHOWN = 50
_ROWS_AT_ONCE = 10_000
_CSV_ADVICE = "save it as 'CSV UTF-8', or as Parquet with the ending .parquet"


class ManifestError(ValueError):
    """Says everything that is wrong with a manifest at once.

    Args:
        path: the manifest.
        problems: one sentence each, in the order of the rows.
    """

    def __init__(self, path: str | Path, problems: Sequence[str]):
        self.problems = [one_line(problem) for problem in problems]
        lines = [f"{one_line(path)}: {count_of(len(self.problems), 'problem')}"]
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
        raise _missing(path) from error
    except PreparedError as error:
        raise ManifestError(path, [str(error)]) from error
    except OSError as error:
        raise ManifestError(path, [f"cannot be read: {error.strerror or error}"]) from error
    # Spreadsheets leave rows of empty cells behind.
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise ManifestError(path, ["the table has no rows below its header"])
    return table


def read_columns(path: Path) -> list[str]:
    """Reads the names of the columns of a table.

    Raises:
        ManifestError: the file cannot be read.
    """
    return next(_stream(path, lambda columns: []))


def stream_table(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads text cells, stripped, row by row: of a table that need not fit into memory.

    Unlike `read_table` it stops at the first problem.

    Args:
        path: a `.parquet` file, or text in UTF-8 separated by comma, semicolon or tab.
        needed: names of the columns to read.

    Yields:
        The row that a spreadsheet shows, and its cells by column.

    Raises:
        ManifestError: the file or its columns are not as described, or there are no rows.
    """

    def find(columns):
        missing = [name for name in needed if name not in columns]
        if missing:
            found = ", ".join(columns)
            raise ManifestError(
                path,
                [
                    f"there is no column {name!r}; the columns are {found}{suggest(name, columns)}"
                    for name in missing
                ],
            )
        return [columns.index(name) for name in needed]

    rows = itertools.islice(_stream(path, find), 1, None)
    is_empty = True
    for row, cells in rows:
        is_empty = False
        yield row, dict(zip(needed, cells, strict=True))
    if is_empty:
        raise ManifestError(path, ["the table has no rows below its header"])


def _missing(path: Path) -> ManifestError:
    near = map(name_text, os.listdir(path.parent)) if path.parent.is_dir() else ()
    hint = slash_hint(path) or suggest(path.name, near)
    return ManifestError(path, [f"no such file{hint}"])


def _stream(path: Path, find: Callable[[list[str]], list[int]]) -> Iterator:
    """Gives the names of the columns, then each row with those of its cells that `find` chose."""
    stream = _stream_parquet if path.suffix.lower() == ".parquet" else _stream_csv
    try:
        yield from stream(path, find)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise ManifestError(path, [f"cannot be read: {error.strerror or error}"]) from error


def _stream_csv(path: Path, find: Callable[[list[str]], list[int]]) -> Iterator:
    row = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = find_delimiter(file.readline())
            file.seek(0)
            records = csv.reader(file, delimiter=delimiter, strict=True)
            columns = [cell.strip() for cell in next(records, [])]
            _check_header(path, columns)
            yield columns
            chosen = find(columns)
            for row, record in enumerate(records, start=2):
                cells = [cell.strip() for cell in record]
                # Spreadsheets leave rows of empty cells behind.
                if not any(cells):
                    continue
                if len(cells) != len(columns):
                    raise ManifestError(path, [_count_problem(row, cells, columns, delimiter)])
                yield row, [cells[column] for column in chosen]
    except UnicodeDecodeError as error:
        problem = f"after row {row}: this is not UTF-8 text; {_CSV_ADVICE}"
        raise ManifestError(path, [problem]) from error
    except csv.Error as error:
        raise ManifestError(path, [f"after row {row}: the quotes do not match: {error}"]) from error


def _stream_parquet(path: Path, find: Callable[[list[str]], list[int]]) -> Iterator:
    with extra("parquet"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        # Opened here: Arrow takes no path that is not UTF-8.
        with path.open("rb") as opened, parquet.ParquetFile(opened) as file:
            names = file.schema_arrow.names
            columns = [name.strip() for name in names]
            _check_header(path, columns)
            yield columns
            chosen = [names[column] for column in find(columns)]
            row = 2
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=chosen):
                texts = [batch[name].cast(pa.string()).to_pylist() for name in chosen]
                for cells in zip(*texts, strict=True):
                    yield row, ["" if cell is None else cell.strip() for cell in cells]
                    row += 1
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ManifestError(path, [f"this is not a Parquet file of text: {error}"]) from error


def find_delimiter(header_line: str) -> str:
    """Says which of comma, semicolon and tab parts the cells of a header."""
    return max(",;\t", key=header_line.count)


def _check_header(path: Path, columns: Sequence[str]) -> None:
    if not any(columns):
        raise ManifestError(path, ["the file is empty"])
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ManifestError(path, [f"column {name!r} appears twice" for name in twice])


def _count_problem(row: int, cells: Sequence, header: Sequence, delimiter: str) -> str:
    return (
        f"row {row}: has {count_of(len(cells), 'cell')} where the header has {len(header)}; a "
        f"path or text that contains {delimiter!r} needs quotes around it"
    )


def _parse_csv(path: Path, data: bytes) -> pd.DataFrame:
    if b"\0" in data:
        raise ManifestError(path, [f"this is not a text file; {_CSV_ADVICE}"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(path, [f"row {row}: this is not UTF-8 text; {_CSV_ADVICE}"]) from error
    delimiter = find_delimiter(text.partition("\n")[0])
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
        _count_problem(row, record, header, delimiter)
        for row, record in enumerate(body, start=2)
        if len(record) != len(header) and any(record)
    ]
    if problems:
        raise ManifestError(path, problems)
    filled = [record if any(record) else [""] * len(header) for record in body]
    return pd.DataFrame(filled, columns=header, index=range(2, len(body) + 2), dtype=str)


def _read_parquet(path: Path) -> pd.DataFrame:
    with extra("parquet"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        with path.open("rb") as file:
            table = parquet.read_table(file)
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
