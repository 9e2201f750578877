"""The page of a list of scored images: how they spread, the worst and the best, and all of them."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from iqa_jax.reporting.pages import plots
from iqa_jax.reporting.pages.colours import colour_stops
from iqa_jax.reporting.pages.html import TEMPLATES, draw_galleries, template
from iqa_jax.reporting.pages.page_files import write_page
from iqa_jax.reporting.pages.report import FileError, Gallery, Table
from iqa_jax.reporting.pages.text_tables import UNDEFINED, text_table


@dataclass(frozen=True)
class ListedScore:
    """A row of the list of all images.

    Attributes:
        name: of the image.
        score: as the table has it.
        interval: its lowest and highest plausible value, if the scorer gives one.
        label: the class it is called, empty where there are no classes.
        fault: what is probably wrong, or empty.
    """

    name: str
    score: float
    interval: tuple[float, float] | None = None
    label: str = ""
    fault: str = ""


@dataclass(frozen=True)
class ScorePage:
    """All that the page shows; an empty part is left out.

    Attributes:
        summary: a sentence or two under the title.
        figures: name, value and note of each of the figures to see first.
        scores: of all images that have one.
        score_range: the worst and the best score there can be, the ends of the colours.
        galleries: of the worst and the best.
        faults: how often what is probably wrong.
        folders: how folders differ.
        errors: the first images that could not be read.
        n_errors: how many there are.
        listed: the images, worst first, as far as the page has them.
        table: name of the file that has them all.
    """

    summary: str
    figures: Sequence[tuple[str, float | int | None, str]]
    scores: Float[np.ndarray, " image"]
    score_range: tuple[float, float]
    galleries: Sequence[Gallery]
    faults: Table
    folders: Table
    errors: Sequence[FileError]
    n_errors: int
    listed: Sequence[ListedScore]
    table: str


def write_score_page(path: Path, page: ScorePage) -> None:
    """Writes the page as one self-contained HTML file.

    Args:
        path: the file to write; its folder must exist.
        page: what to show.
    """
    script = (TEMPLATES / "scores.js").read_text(encoding="utf-8")
    ends = min(page.score_range), max(page.score_range)
    histogram = []
    if len(page.scores):
        marks = {"median": float(np.median(page.scores))}
        histogram = [plots.draw_histogram("All images", {"images": page.scores}, marks, ends)]
    text = template("scores.html.jinja").render(
        page=page,
        script=script,
        # The policy of the page lets this script run, and no other.
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        histogram=histogram,
        galleries=draw_galleries(page.galleries, page.score_range),
        tables=[text_table(table) for table in (page.faults, page.folders) if table.rows],
        rows=[
            [one.name, one.score, *(one.interval or (None, None)), one.label, one.fault]
            for one in page.listed
        ],
        has_intervals=any(one.interval for one in page.listed),
        has_labels=any(one.label for one in page.listed),
        undefined=UNDEFINED,
        colour_bar=colour_stops(),
    )
    write_page(path, text)
