"""The report of a run: one HTML file that opens anywhere, without network or scripts."""

import functools
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import jinja2

from iqa_jax.reporting.pages import plots
from iqa_jax.reporting.pages.colours import colour_stops
from iqa_jax.reporting.pages.page_files import write_page
from iqa_jax.reporting.pages.pictures import Picture, draw_picture, photo_uri
from iqa_jax.reporting.pages.point_map import draw_points
from iqa_jax.reporting.pages.report import TABLE_SECTIONS, Gallery, Headline, Report
from iqa_jax.reporting.pages.text_tables import (
    UNDEFINED,
    comparison_tables,
    confusion_shares,
    confusion_table,
    fusion_tables,
    glossary,
    heading,
    interval_text,
    text_table,
    write_number,
)

_ERROR_ROWS = 200
_SUSPECT_SIDE = 96
TEMPLATES = Path(__file__).parent / "templates"

# The sections in their order: identifier, heading, and the parts of a report that are in it.
_SECTIONS = (
    ("answer", "In short", ("answer", "warnings")),
    ("figures", "Figures", ("headlines", "metrics")),
    ("training", "Training", ("history",)),
    ("confusion", "Confusion", ("confusions",)),
    ("calibration", "Calibration", ("reliabilities",)),
    ("scores", "Scores by class", ("histograms",)),
    ("agreement", "Predicted and given scores", ("scatters",)),
    ("coverage", "Risk and coverage", ("coverages",)),
    ("mistakes", "Worst mistakes", ("mistakes",)),
    ("extremes", "Lowest and highest scores", ("extremes",)),
    ("uncertain", "Most uncertain images", ("uncertain",)),
    ("suspects", "Labels to check", ("suspects",)),
    ("map", "Map of the images", ("projections",)),
    *((name, title, (name,)) for name, title in TABLE_SECTIONS.items()),
    ("data", "Data", ("audit", "errors")),
    ("configuration", "Configuration", ("config",)),
    ("versions", "Versions", ("versions",)),
    ("command", "Command", ("command",)),
)


@dataclass(frozen=True)
class Whisker:
    """A figure and its interval on a line that the same figure of other splits shares.

    Attributes:
        at, low, high: percent of the line.
        ends: what the line begins and ends with, as text.
        interval: as text.
    """

    at: float
    low: float
    high: float
    ends: tuple[str, str]
    interval: str


def write_report(path: Path, report: Report) -> None:
    """Writes the report as one self-contained HTML file.

    Args:
        path: the file to write; its folder must exist.
        report: what to show. Forty examples or so stay below 3 MB.

    Raises:
        ValueError: a confusion matrix, a table, an example or a projection contradicts itself.
    """
    suspects = report.suspects.rows if report.suspects else ()
    page = template("report.html.jinja").render(
        report=report,
        sections={name: title for name, title in _sections(report)},
        undefined=UNDEFINED,
        whiskers=_whiskers(report.headlines),
        comparisons=comparison_tables(report),
        fusions=fusion_tables(report),
        glossary=glossary(
            [row for rows in report.metrics.values() for row in rows.values()]
            + [*report.three_class.values()]
        ),
        curves=plots.draw_curves(report.history, report.best_step),
        confusions=[
            (confusion_table(confusion), confusion_shares(confusion))
            for confusion in report.confusions
        ],
        reliabilities=[plots.draw_reliability(plot) for plot in report.reliabilities],
        histograms=[
            plots.draw_histogram(plot.title, plot.scores, plot.thresholds, report.score_range)
            for plot in report.histograms
        ],
        scatters=[plots.draw_scatter(plot) for plot in report.scatters],
        coverages=[plots.draw_risk_coverage(plot) for plot in report.coverages],
        mistakes=draw_galleries(report.mistakes, report.score_range),
        extremes=draw_galleries(report.extremes, report.score_range),
        uncertain=draw_galleries(report.uncertain, report.score_range),
        suspects=[(row, photo_uri(row.image, _SUSPECT_SIDE)) for row in suspects],
        maps=[draw_points(projection, report.score_range) for projection in report.projections],
        tables={
            name: [text_table(table) for table in getattr(report, name)] for name in TABLE_SECTIONS
        },
        errors=report.errors[:_ERROR_ROWS],
        colour_bar=colour_stops(),
    )
    write_page(path, page)


@functools.cache
def template(name: str) -> jinja2.Template:
    """Reads a template of this package's pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": write_number, "heading": heading}
    environment.globals["zip"] = zip
    return environment.get_template(name)


def _sections(report: Report) -> Iterator[tuple[str, str]]:
    """Names the sections that have something to show."""
    for name, title, parts in _SECTIONS:
        if any(map(_is_there, (getattr(report, part) for part in parts))):
            yield name, title


def _is_there(part: object) -> bool:
    return len(part) > 0 if isinstance(part, Sized) else part is not None


def draw_galleries(
    galleries: Sequence[Gallery], score_range: tuple[float, float]
) -> list[tuple[Gallery, list[Picture], list[str]]]:
    """Draws galleries: each with its pictures and the names of the maps that these have."""
    drawn = []
    for gallery in galleries:
        maps = dict.fromkeys(name for example in gallery.examples for name in example.maps)
        pictures = [draw_picture(example, score_range) for example in gallery.examples]
        drawn.append((gallery, pictures, [*maps]))
    return drawn


def _whiskers(headlines: Sequence[Headline]) -> list[Whisker | None]:
    """Places the intervals of the headlines; a figure without one has no whisker."""
    ends: dict[str, list[float]] = {}
    for headline in headlines:
        if headline.interval is not None and headline.value is not None:
            ends.setdefault(headline.name, []).extend((*headline.interval, headline.value))
    whiskers = []
    for headline in headlines:
        if headline.interval is None or headline.value is None:
            whiskers.append(None)
            continue
        low, high = min(ends[headline.name]), max(ends[headline.name])
        room = 0.08 * (high - low) or 0.05
        # Most figures end at 0 and 1, and so does their line.
        low, high = (
            max(low - room, 0.0) if low >= 0 else low - room,
            min(high + room, 1.0) if high <= 1 else high + room,
        )
        at, *interval = (
            round(100 * (value - low) / (high - low), 2)
            for value in (headline.value, *headline.interval)
        )
        text = interval_text(headline.interval, headline.value)
        whiskers.append(Whisker(at, *interval, (write_number(low), write_number(high)), text))
    return whiskers
