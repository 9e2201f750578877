"""Reads the cells of a table: numbers, places in a grid of tiles, rows that repeat others.

What is wrong with a cell is added to a list of problems, as the row that a spreadsheet shows and a
sentence, so that all can be raised together.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

TILE_COLUMNS = ("image", "row", "column")
RESERVED_COLUMNS = (
    *("path", "name", "group", "split", "label_text", "file_row", "tile_name"),
    *TILE_COLUMNS,
)
# In one message; more are counted.
ROWS_SHOWN = 5


def name_rows(rows: Iterable[int]) -> str:
    """Names rows for a message: `row 3`, or `rows 3, 7 and 12 more`."""
    rows = list(rows)
    shown = ", ".join(str(row) for row in rows[:ROWS_SHOWN])
    rest = f" and {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{rest}"


def read_numbers(text: pd.Series, what: str, problems: list[tuple[int, str]]) -> np.ndarray:
    """Returns float64 values, NaN where a cell is no number that float32 can hold."""
    values = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    is_finite = np.abs(values) <= np.finfo(np.float32).max
    for row, cell in text[~is_finite].items():
        hint = "; write the decimals after a point" if "," in cell else ""
        problems.append(
            (row, f"{what} {cell!r} is not a number{hint}" if cell else f"the {what} is empty")
        )
    return np.where(is_finite, values, np.nan)


def read_grid_places(text: pd.Series, name: str, problems: list[tuple[int, str]]) -> np.ndarray:
    """Returns int32 rows or columns of the grid, -1 where a cell is none."""
    is_place = text.str.fullmatch(r"[0-9]{1,9}")
    problems += [
        (row, f"the tile's {name} must be a whole number from 0 on, not {cell!r}")
        for row, cell in text[~is_place].items()
    ]
    return text.where(is_place, "-1").astype(np.int32).to_numpy()


def find_repeats(keys: pd.DataFrame, what: str) -> list[tuple[int, str]]:
    """Finds rows that repeat an earlier one in every column."""
    numbers = pd.Series(keys.index, index=keys.index)
    first = numbers.groupby([keys[name] for name in keys.columns]).transform("first")
    return [(row, f"{what} row {first[row]}") for row in keys.index[first != numbers]]
