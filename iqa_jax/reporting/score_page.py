"""What `--mode=predict` shows of a finished list: chooses the images and figures of its page."""

import heapq
import math
import os
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.batches.listing import Input
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.faults import Measured
from input_pipeline.tiles.sources import Picture, TileSource
from iqa_jax.analysis.kinds import Kind
from iqa_jax.reporting.pages.pictures import Example, thumbnail
from iqa_jax.reporting.pages.report import FileError, Gallery, Table
from iqa_jax.reporting.pages.scores import ListedScore, ScorePage, write_score_page
from iqa_jax.reporting.pages.text_tables import interval_text, write_number

# The page stays a few megabytes, however long the list is.
_EXTREMES, _LISTED, _FOLDERS, _ERRORS = 24, 5000, 100, 200
_SIDE = 240
# Its shape is all that is known of a picture that is too large, or is gone.
_UNSEEN = 200

Row = Mapping[str, Any]


def write_scores(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    inputs: Iterable[Input],
    source_of: Callable[[Sequence[Picture]], TileSource],
    kind: Kind,
    table: str,
) -> None:
    """Writes the page of a list of scored images.

    Args:
        path: the page.
        rows: gives the rows of all images from the first on, each time it is called: they may be
            more than memory holds.
        inputs: of the same images, in the same order.
        source_of: gives the tiles of pictures as they were scored.
        kind: says what scores mean.
        table: name of the file that has all rows.
    """
    scores, by_folder, by_fault = array("d"), defaultdict(_doubles), defaultdict(_doubles)
    errors, n_errors = [], 0
    for row in rows():
        if row["error"]:
            n_errors += 1
            if len(errors) < _ERRORS:
                errors.append(FileError(row["path"], row["error"]))
        elif _has_score(row):
            for group in (scores, by_folder[os.path.dirname(row["path"])], by_fault[row["fault"]]):
                group.append(row["score"])
    shared = _shared_folder(by_folder)

    def name_of(row: Row) -> str:
        return os.path.relpath(row["path"], shared) if shared else row["path"]

    ends = kind.score_range if kind.higher_is_better else kind.score_range[::-1]
    is_rising = ends[0] < ends[1]
    listed = _worst(_LISTED, rows(), is_rising)
    # An image is among the worst or among the best.
    half = min(_EXTREMES, -(-len(scores) // 2))
    best = _worst(min(_EXTREMES, len(scores) // 2), rows(), not is_rising)
    galleries = []
    if kind.has_order:
        shown = [*listed[:half], *best]
        wanted = {number for number, _ in shown}
        found = {number: one for number, one in enumerate(inputs) if number in wanted}
        examples = [
            _example(row, name_of(row), source_of([found[number].picture]), is_low=place < half)
            for place, (number, row) in enumerate(shown)
        ]
        sentences = (
            ("Worst scores", "Worst first, with what is probably wrong by the measured values."),
            ("Best scores", "Best first."),
        )
        parts = (examples[:half], examples[half:])
        galleries = [
            Gallery(*words, part) for words, part in zip(sentences, parts, strict=True) if part
        ]
    write_score_page(
        path,
        ScorePage(
            summary=_summary(kind, ends, shared),
            figures=_figures(np.array(scores), n_errors, is_rising),
            scores=np.array(scores),
            score_range=ends,
            galleries=galleries,
            faults=_faults(by_fault),
            folders=_folders(by_folder, shared, is_rising),
            errors=errors,
            n_errors=n_errors,
            listed=[_listed(row, name_of(row)) for _, row in listed],
            table=table,
        ),
    )


def _doubles() -> array:
    return array("d")


def _has_score(row: Row) -> bool:
    return not row["error"] and row["score"] is not None and math.isfinite(row["score"])


def _worst(count: int, rows: Iterable[Row], is_rising: bool) -> list[tuple[int, Row]]:
    """Gives the rows of the worst scores with their numbers, worst first, in bounded memory."""
    sign = 1 if is_rising else -1
    scored = ((number, row) for number, row in enumerate(rows) if _has_score(row))
    return heapq.nsmallest(count, scored, key=lambda one: (sign * one[1]["score"], one[0]))


def _shared_folder(folders: Iterable[str]) -> str:
    """Names the folder that all folders are in; empty if there is none."""
    try:
        return os.path.commonpath(list(folders))
    except ValueError:  # There are none, or some begin at the root and others do not.
        return ""


def _summary(kind: Kind, ends: tuple[float, float], shared: str) -> str:
    where = f" The images are in {shared}." if shared else ""
    if not kind.has_order:
        return f"The classes have no order, so that no image is better than another.{where}"
    bad, good = map(write_number, ends)
    return f"Scores run from {bad}, bad, to {good}, good.{where}"


def _figures(
    scores: np.ndarray, n_errors: int, is_rising: bool
) -> list[tuple[str, float | int | None, str]]:
    some = len(scores) > 0
    lowest, highest = (float(scores.min()), float(scores.max())) if some else (None, None)
    worst, best = (lowest, highest) if is_rising else (highest, lowest)
    middle = np.quantile(scores, (0.25, 0.75)).tolist() if some else None
    half = f"half of them from {interval_text(tuple(middle), middle[0])}" if middle else ""
    return [
        ("Images", len(scores), f"{n_errors} more could not be read" if n_errors else "all read"),
        ("Median score", float(np.median(scores)) if some else None, half),
        ("Worst score", worst, ""),
        ("Best score", best, ""),
    ]


def _faults(by_fault: Mapping[str, array]) -> Table:
    order = sorted(by_fault, key=lambda name: -len(by_fault[name]))
    return Table(
        "What is measured of them",
        ("Outside its range", "Images", "Median score"),
        [
            (name or "nothing", len(by_fault[name]), float(np.median(by_fault[name])))
            for name in order
        ],
        "Measured beside the score, and no part of it. Sharpness: 1 / (1 + s²) for edges blurred "
        "by s pixels, 1 the sharpest. Noise: its standard deviation in grey levels of 0 to 255. "
        "Exposure: mean light in stops from mid-grey, below 0 darker. Blockiness: steps between "
        "blocks of 8x8 pixels in parts of those inside, 1 without blocks. A picture may be meant "
        "dark, bright or soft: the word counts where the score is low.",
    )


def _folders(by_folder: Mapping[str, array], shared: str, is_rising: bool) -> Table:
    worst = min if is_rising else max
    rows = [
        (
            os.path.relpath(name or ".", shared or "."),
            len(scores),
            float(np.median(scores)),
            float(worst(scores)),
        )
        for name, scores in by_folder.items()
    ]
    rows.sort(key=lambda row: row[2] if is_rising else -row[2])
    more = len(rows) - _FOLDERS
    return Table(
        "Folders",
        ("Folder", "Images", "Median score", "Worst score"),
        rows[:_FOLDERS],
        f"The worst {_FOLDERS} by their median; {more} more are left out." if more > 0 else "",
    )


def _interval(row: Row) -> tuple[float, float] | None:
    lower, upper = row.get("lower"), row.get("upper")
    return None if lower is None or upper is None else (lower, upper)


def _listed(row: Row, name: str) -> ListedScore:
    return ListedScore(name, row["score"], _interval(row), row["label"], row["fault"])


def _example(row: Row, name: str, source: TileSource, is_low: bool) -> Example:
    size, origins, image = (_SIDE, _SIDE), np.zeros((0, 2), np.int32), None
    try:
        layout = source.layout(0)
        size, origins = (layout.height, layout.width), layout.grid.origins
        # What is read by bands is too large for one look.
        if source.pieces(0, layout)[0] is None:
            image = thumbnail(source.image(0), _SIDE)
    except ImageError:  # It was there when it was scored.
        pass
    if image is None:
        scale = _SIDE / max(size)
        image = np.full((*(max(1, round(side * scale)) for side in size), 3), _UNSEEN, np.uint8)
    tile_scores = row.get("tile_scores", ())
    if len(tile_scores) != len(origins):
        tile_scores, origins = (), origins[:0]
    return Example(
        name=name,
        image=image,
        size=size,
        origins=origins,
        tile_size=source.tiling.size,
        tile_scores=np.array(tile_scores, float),
        score=row["score"],
        label="",
        predicted=row["label"],
        note=" · ".join(_notes(row, is_low)),
    )


def _notes(row: Row, is_low: bool) -> Iterator[str]:
    """Says how sure the score is, what is probably wrong, and what was measured."""
    if interval := interval_text(_interval(row), row["score"]):
        yield f"interval {interval}"
    if is_low:
        yield f"probably {row['fault']}" if row["fault"] else "unclear what is wrong"
    for name in Measured._fields:
        if row.get(name) is not None:
            yield f"{name} {row[name]:{'+' if name == 'exposure' else ''}.2f}"
