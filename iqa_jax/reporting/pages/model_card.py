"""The model card: what a scorer is for, what it learnt from, how good it is and where not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iqa_jax.reporting.pages.markdown import block, code, prose, table
from iqa_jax.reporting.pages.markdown_report import headline_line, versions_line, warning_box
from iqa_jax.reporting.pages.page_files import write_page
from iqa_jax.reporting.pages.report import Headline, Table
from iqa_jax.reporting.pages.text_tables import TextTable, text_table


@dataclass(frozen=True)
class ModelCard:
    """All that a model card says; sentences may quote names.

    Attributes:
        name: of the run.
        purpose: what the scorer answers.
        use: sentences on what it is meant for, and what not.
        facts: what it is and what its labels mean: name -> value.
        images: the images by split, those it learnt from among them.
        headlines: the figures to see first.
        warnings: what must be known before a figure is believed.
        figures: of the headline answers over the splits.
        limits: sentences.
        commands: what for -> command line.
        versions: package -> version.
        config_digest, manifest_digest: SHA-256 of the resolved config and of the manifest's rows.
    """

    name: str
    purpose: str
    use: Sequence[str]
    facts: Mapping[str, str]
    images: Table
    headlines: Sequence[Headline]
    warnings: Sequence[str]
    figures: Sequence[TextTable]
    limits: Sequence[str]
    commands: Mapping[str, str]
    versions: Mapping[str, str]
    config_digest: str
    manifest_digest: str


def write_model_card(path: Path, card: ModelCard) -> None:
    """Writes the card as Markdown.

    Args:
        path: the file to write; its folder must exist.
        card: what it says.
    """
    text = "\n\n".join(_parts(card)) + "\n"
    write_page(path, text)


def _parts(card: ModelCard) -> Iterator[str]:
    yield f"# Model card: {code(card.name)}"
    yield prose(card.purpose)
    yield "## Intended use"
    yield _items(card.use)
    yield "## What it is"
    yield "\n".join(f"- {prose(name)}: {prose(value)}" for name, value in card.facts.items())
    yield "## What it was trained and measured on"
    yield table(text_table(card.images), are_rows_names=True)
    if card.images.caption:
        yield prose(card.images.caption)
    yield "## Figures"
    yield from map(warning_box, card.warnings)
    yield "\n".join(map(headline_line, card.headlines))
    for shown in card.figures:
        yield f"### {prose(shown.title)}"
        yield table(shown, are_columns_names=True)
        if shown.caption:
            yield prose(shown.caption)
    yield "## Limits"
    yield _items(card.limits)
    yield "## How to use it"
    for what, line in card.commands.items():
        yield f"{prose(what)}:"
        yield block(line, "sh")
    yield "## Where it comes from"
    yield "\n".join(
        (
            f"- Config, SHA-256: {code(card.config_digest)}",
            f"- Manifest's rows, SHA-256: {code(card.manifest_digest)}",
            f"- Versions: {versions_line(card.versions)}",
        )
    )


def _items(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {prose(sentence)}" for sentence in sentences)
