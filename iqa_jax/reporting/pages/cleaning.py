"""The page that says which tiles were dropped from training, and what that gained."""

import base64
from collections.abc import Sequence
from pathlib import Path

from iqa_jax.reporting.pages.colours import colour_stops
from iqa_jax.reporting.pages.html import template
from iqa_jax.reporting.pages.page_files import write_page
from iqa_jax.reporting.pages.report import Table
from iqa_jax.reporting.pages.text_tables import UNDEFINED, text_table


def write_cleaning_page(
    path: Path, *, summary: str, tables: Sequence[Table], sheet: Path, command: str
) -> None:
    """Writes the page as one self-contained HTML file.

    Args:
        path: the file to write; its folder must exist.
        summary: in a few sentences.
        tables: of counts and figures.
        sheet: PNG with examples.
        command: how it was made.
    """
    page = template("cleaning.html.jinja").render(
        summary=summary,
        tables=[text_table(table) for table in tables],
        sheet=base64.b64encode(sheet.read_bytes()).decode("ascii"),
        command=command,
        undefined=UNDEFINED,
        colour_bar=colour_stops(),
    )
    write_page(path, page)
