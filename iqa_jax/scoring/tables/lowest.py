"""The lowest scores of a table, as lines for a terminal."""

import csv
import heapq
from pathlib import Path

from input_pipeline.files.file_names import one_line

# Of the columns that `predict` writes, those that fit a line.
_SHOWN = ("score", "label", "fault", "path")


def lowest_scores(path: Path, count: int) -> str:
    """Writes the rows with the lowest scores, the lowest first, in columns.

    Args:
        path: a `.csv` that `predict` has written, of any length.
        count: rows at most; rows without a score are not among them.
    """
    with path.open(newline="", encoding="utf-8") as file:
        scored = (row for row in csv.DictReader(file) if row["score"])
        rows = heapq.nsmallest(count, scored, key=lambda row: float(row["score"]))
    if not rows:
        return "No image could be scored."
    names = [name for name in _SHOWN if any(row.get(name) for row in rows)]
    lines = [names, *([_cell(name, row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) - 1)]
    return "\n".join(
        ["The lowest scores:", *("  " + _columns(line, widths) for line in lines)],
    )


def _cell(name: str, text: str) -> str:
    return f"{float(text):.3g}" if name == "score" else one_line(text)


def _columns(cells: list[str], widths: list[int]) -> str:
    """Pads all cells but the last, which may be as long as it likes."""
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]])
