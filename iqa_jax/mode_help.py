"""What `iqa-jax --help` and `iqa-jax MODE --help` print."""

import shutil
import textwrap

from iqa_jax.command_line import CONSOLE, recipe_names
from iqa_jax.mode_flags import FLAGS, MODES, flag_text, usage

_KEYS = (
    "--config.KEY=VALUE",
    "Any key of the recipe, as often as you like: --config.epochs=10. Default: what the recipe "
    "says.",
)
_ABOUT = f"""{CONSOLE} scores photographs without a reference image, and trains scorers of your own.

  {CONSOLE} photos/         scores a folder (or an image, a pattern in quotes, a list) and writes
                          scores.html, a page to look at, and scores.csv into the current folder
  {CONSOLE} MODE --help     the flags of a mode, their defaults and an example
  {CONSOLE} completion bash prints what makes a shell complete all this; or zsh, fish

Modes:
"""


def overview() -> str:
    """Says what the program does, in which modes."""
    return _ABOUT + "\n".join(_entry(mode, about.does) for mode, about in MODES.items())


def mode_help(mode: str) -> str:
    """Says what a mode does and which flags it takes, with their defaults and an example."""
    about = MODES[mode]
    entries = [_entry(flag_text(name), _flag_help(name, mode)) for name in about.flags]
    if "config" in about.flags:
        entries.append(_entry(*_KEYS))
        names = ", ".join(recipe_names())
        entries.append("\n" + _fill(f"Recipes that come with the program: {names}."))
    command = f"{CONSOLE} {mode}"
    return "\n".join(
        [
            textwrap.fill(
                "usage: " + usage(mode, command), _width(), subsequent_indent=" " * 8,
                break_long_words=False, break_on_hyphens=False,
            ),
            "",
            _fill(about.does),
            "",
            f"Example: {command} {about.example}",
            "",
            *entries,
        ]
    )  # fmt: skip


def _flag_help(name: str, mode: str) -> str:
    meaning, is_needed = FLAGS[name].meaning(mode), name in MODES[mode].needs
    return meaning if is_needed else f"{meaning} Default: {FLAGS[name].without}."


def _entry(name: str, text: str) -> str:
    indent = " " * 24
    lines = textwrap.fill(text, _width(), initial_indent=indent, subsequent_indent=indent)
    head = f"  {name}"
    return head + lines[len(head) :] if len(head) < len(indent) - 1 else f"{head}\n{lines}"


def _fill(text: str) -> str:
    return textwrap.fill(text, _width(), break_on_hyphens=False)


def _width() -> int:
    """Gives the columns of the terminal, within what can be read."""
    return max(60, min(100, shutil.get_terminal_size().columns))
