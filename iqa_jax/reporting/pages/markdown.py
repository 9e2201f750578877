"""GitHub Markdown in which no name of a file or a class can be anything but text."""

import re

from iqa_jax.reporting.pages.text_tables import TextTable


def code(text: str) -> str:
    """Writes text that people chose as a code span, where no mark, mention or tag means anything.

    Args:
        text: any; what breaks lines becomes a space.
    """
    text = " ".join(text.split())
    if not re.search(r"[`|]", text):
        return f"`{text}`" if text else ""
    # A bar ends a cell of a table even within backticks, and a backtick ends them.
    text = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)
    return f"<code>{text}</code>"


def prose(text: str) -> str:
    """Writes a sentence of this program that may quote names, as text without marks."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    # A word joiner keeps @name from calling a person and #1 from naming a thread.
    text = re.sub(r"([@#])(?=\w)", "\\1\u2060", text)
    return re.sub(r"([\\`*_{}\[\]|~>])", r"\\\1", text)


def block(text: str, language: str = "") -> str:
    """Writes lines as they are, in a fence that nothing in them closes."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(
    shown: TextTable, *, are_columns_names: bool = False, are_rows_names: bool = False
) -> str:
    """Writes a table, figures to the right.

    Args:
        shown: the table.
        are_columns_names, are_rows_names: whether these headings are words that people chose.
    """
    column = code if are_columns_names else prose
    row = code if are_rows_names else prose
    lines = [
        [prose(shown.corner), *(column(name) for name in shown.columns)],
        ["---", *("---:" for _ in shown.columns)],
    ]
    for name, cells in shown.rows:
        texts = [f"{cell.text} ({cell.detail})" if cell.detail else cell.text for cell in cells]
        lines.append([row(name), *map(prose, texts)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
