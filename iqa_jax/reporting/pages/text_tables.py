"""The tables of a report as text, the same for the page and for Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iqa_jax.analysis.metric_table import FIGURES
from iqa_jax.reporting.pages.report import Confusion, Report, Table

UNDEFINED = "undefined"

# Headings of rows that are no figures.
_HEADINGS = {"grad_cam": "Grad-CAM"}


class Cell(NamedTuple):
    """A cell: its text, and what stands smaller beside it, such as an interval."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class TextTable:
    """A table as it is written: column headings, and per row its heading and its cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    corner: str = ""
    caption: str = ""


def heading(name: str) -> str:
    """Names a figure for people."""
    text = FIGURES[name].heading if name in FIGURES else _HEADINGS.get(name, name.replace("_", " "))
    return text[:1].upper() + text[1:]


def write_number(value: float | int | str | None) -> str:
    """Writes one figure; see `write_numbers`."""
    return write_numbers([value])[0]


def write_numbers(values: Iterable[float | int | str | None]) -> list[str]:
    """Writes figures that stand under one another with the same decimals.

    Args:
        values: floats get about three places that matter, by the largest of them; whole numbers
            and text stay as they are; None and what is not finite is "undefined".

    Returns:
        A text per value.
    """
    values = list(values)
    sizes = [abs(value) for value in values if isinstance(value, float) and np.isfinite(value)]
    largest = max(sizes, default=0.0)
    decimals = next(
        (places for limit, places in ((10, 3), (100, 2), (1000, 1)) if largest < limit), 0
    )
    return [_write(value, decimals) for value in values]


def _write(value, decimals: int) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, (float, np.floating)):
        # So small that it would read as none at all, such as a learning rate.
        if value and abs(value) < 0.5 * 10.0**-decimals:
            return f"{value:.2g}"
        return f"{value:.{decimals}f}" if np.isfinite(value) else UNDEFINED
    return str(value)


def interval_text(interval: tuple[float, float] | None, value: float | None) -> str:
    """Writes an interval with the decimals of its figure, or nothing where one is undefined."""
    if interval is None or value is None:
        return ""
    low, high, _ = write_numbers([*map(float, interval), float(value)])
    return f"{low} to {high}"


def comparison_tables(report: Report) -> list[TextTable]:
    """Lays the headline figures and those of three classes out with the splits side by side."""
    rows = {
        split: fusions[report.headline_fusion]
        for split, fusions in report.metrics.items()
        if report.headline_fusion in fusions
    }
    name = heading(report.headline_fusion)
    tables = [_compare(name, rows, report.intervals, report.interval_note)] if rows else []
    if report.three_class:
        rows, intervals = report.three_class, report.three_class_intervals
        tables.append(_compare(f"{name}, three classes", rows, intervals, ""))
    return tables


def _compare(
    title: str,
    rows: Mapping[str, Mapping[str, object]],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    caption: str,
) -> TextTable:
    names = single_figures(rows.values())
    lines = []
    for name in names:
        texts = write_numbers([row.get(name, "–") for row in rows.values()])
        details = [
            interval_text(intervals.get(split, {}).get(name), row.get(name))
            for split, row in rows.items()
        ]
        lines.append((heading(name), [*map(Cell, texts, details)]))
    title += ": splits side by side" if len(rows) > 1 else ""
    return TextTable(title, list(rows), lines, "Figure", caption)


def fusion_tables(report: Report) -> list[TextTable]:
    """Lays every fusion's figures out, a table per split."""
    tables = []
    for split, fusions in report.metrics.items():
        names = single_figures(fusions.values())
        columns = [
            write_numbers([row.get(name, "–") for row in fusions.values()]) for name in names
        ]
        rows = [
            (heading(fusion), [Cell(column[number]) for column in columns])
            for number, fusion in enumerate(fusions)
        ]
        tables.append(TextTable(split, [*map(heading, names)], rows, "Fusion"))
    return tables


def confusion_table(confusion: Confusion) -> TextTable:
    """Lays a confusion matrix out with the share of the true class beside each count.

    Raises:
        ValueError: it does not fit its classes.
    """
    counts = np.asarray(confusion.counts)
    n_classes = len(confusion.classes)
    if counts.shape != (n_classes, n_classes):
        raise ValueError(
            f"The confusion matrix {confusion.title!r} is {counts.shape}, but there are"
            f" {n_classes} classes."
        )
    shares = confusion_shares(confusion)
    rows = [
        (name, [Cell(str(n), f"{100 * share:.0f} %") for n, share in zip(*cells, strict=True)])
        for name, *cells in zip(confusion.classes, counts.tolist(), shares, strict=True)
    ]
    return TextTable(confusion.title, confusion.classes, rows, "true ↓ called →")


def confusion_shares(confusion: Confusion) -> list[list[float]]:
    """Gives what share of each true class was called each class; 0 for a class without rows."""
    counts = np.asarray(confusion.counts)
    return (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).tolist()


def text_table(table: Table) -> TextTable:
    """Writes a table's figures out, column by column.

    Raises:
        ValueError: a row is longer or shorter than its columns.
    """
    for row in table.rows:
        if len(row) != len(table.columns):
            raise ValueError(
                f"A row of the table {table.title!r} has {len(row)} cells for"
                f" {len(table.columns)} columns."
            )
    columns = [write_numbers(column) for column in zip(*table.rows, strict=True)]
    rows = [(row[0], [*map(Cell, row[1:])]) for row in zip(*columns, strict=True)]
    corner, *others = table.columns
    return TextTable(table.title, others, rows, corner, table.caption)


def glossary(rows: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Explains the figures that the tables show: heading -> meaning."""
    shown = single_figures(rows)
    return {heading(name): FIGURES[name].meaning for name in shown if name in FIGURES}


def single_figures(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Names what is one number in some row; matrices, curves and texts have other places."""
    found = dict.fromkeys(
        name
        for row in rows
        for name, value in row.items()
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    )
    return list(found)
