"""The tables of a report in GitHub Markdown, to paste into a pull request."""

from collections.abc import Iterator
from pathlib import Path

from iqa_jax.reporting.pages.markdown import block, code, prose, table
from iqa_jax.reporting.pages.page_files import write_page
from iqa_jax.reporting.pages.report import TABLE_SECTIONS, Headline, Report
from iqa_jax.reporting.pages.text_tables import (
    comparison_tables,
    confusion_table,
    fusion_tables,
    heading,
    interval_text,
    text_table,
    write_number,
)

_ERROR_ROWS = 20


def write_markdown_report(path: Path, report: Report) -> None:
    """Writes what of a report is text and tables.

    Args:
        path: the file to write; its folder must exist.
        report: the same as of the page; an empty part is left out.

    Raises:
        ValueError: a confusion matrix or a table contradicts itself.
    """
    text = "\n\n".join(_parts(report)) + "\n"
    write_page(path, text)


def warning_box(warning: str) -> str:
    """Writes a warning as GitHub's box."""
    return f"> [!WARNING]\n> {prose(warning)}"


def headline_line(headline: Headline) -> str:
    """Writes a headline as an item of a list."""
    interval = ""
    if headline.interval is not None and headline.value is not None:
        interval = f" (95 % interval {interval_text(headline.interval, headline.value)})"
    return (
        f"- {prose(heading(headline.name))}, {code(headline.split)}: "
        f"**{write_number(headline.value)}**{interval}; {prose(headline.note)}"
    )


def _parts(report: Report) -> Iterator[str]:
    yield f"# {code(report.title)}"
    if report.summary:
        yield prose(report.summary)
    if report.answer or report.warnings:
        yield "## In short"
    for title, text in report.answer:
        yield f"**{prose(title)}.** {prose(text)}"
    yield from map(warning_box, report.warnings)
    if report.headlines or report.metrics:
        yield "## Figures"
    if report.headlines:
        yield "\n".join(map(headline_line, report.headlines))
    for comparison in comparison_tables(report):
        yield f"### {prose(comparison.title)}"
        yield table(comparison, are_columns_names=True)
        if comparison.caption:
            yield prose(comparison.caption)
    for shown in fusion_tables(report):
        yield f"### Every fusion on {code(shown.title)}"
        yield table(shown)
    if report.confusions:
        yield "## Confusion"
        yield "Images, and their share of the true class."
    for confusion in report.confusions:
        yield f"### {prose(confusion.title)}"
        yield table(confusion_table(confusion), are_columns_names=True, are_rows_names=True)
    for name, title in TABLE_SECTIONS.items():
        if tables := getattr(report, name):
            yield f"## {title}"
        for shown in map(text_table, tables):
            yield f"### {prose(shown.title)}"
            yield table(shown)
            if shown.caption:
                yield prose(shown.caption)
    if report.audit or report.errors:
        yield "## Data"
    if report.audit:
        yield block(report.audit)
    if report.errors:
        count = len(report.errors)
        yield f"### {count} {'file' if count == 1 else 'files'} could not be used"
        lines = [f"- {code(e.path)}: {prose(e.message)}" for e in report.errors[:_ERROR_ROWS]]
        if count > _ERROR_ROWS:
            lines.append(f"- and {count - _ERROR_ROWS} more")
        yield "\n".join(lines)
    if report.versions:
        yield "## Versions"
        yield versions_line(report.versions)
    if report.command:
        yield "## Command"
        yield block(report.command, "sh")


def versions_line(versions) -> str:
    """Writes versions in a sentence."""
    return ", ".join(f"{prose(name)} {prose(version)}" for name, version in versions.items())
