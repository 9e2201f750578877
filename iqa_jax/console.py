"""`iqa-jax`, the command that is installed with the package.

The first word is a mode of main.py, or what to score: a folder, an image, a pattern, a list.
"""

import difflib
import glob
import os
import sys
from pathlib import Path

from absl import flags

from iqa_jax import completion
from iqa_jax.command_line import CONSOLE
from iqa_jax.mode_flags import MODES
from iqa_jax.mode_help import mode_help, overview
from iqa_jax.program import run_mode, run_program

_HELP = ("--help", "-help", "-h")
# Where scores go if nobody says: the same two files as those of `make score`.
_PAGE = "scores.html"
_LOWEST = 10


def main() -> None:
    """Does what the command line says, and ends the process with the exit status."""
    program, *words = sys.argv
    if not words or words[0] in _HELP:
        print(overview())
        return
    first, *rest = words
    mode = first.replace("-", "_")
    if first == "completion":
        print(_completion(rest))
    elif mode in MODES and any(word in _HELP for word in rest):
        print(mode_help(mode))
    elif "mode" in _flags_in(words):
        sys.exit(f"error: the mode is the first word, without --mode=: {CONSOLE} predict ...")
    elif mode in MODES:
        sys.argv = [program, f"--mode={mode}", *rest]
        run_program()
    else:
        _check_place(first, rest)
        output = [] if "output" in _flags_in(rest) else [f"--output={_PAGE}"]
        sys.argv = [program, "--mode=predict", f"--images={first}", *output, *rest]
        run_program(_score)


def _flags_in(words: list[str]) -> set[str]:
    return {word.lstrip("-").partition("=")[0] for word in words if word.startswith("-")}


def _completion(words: list[str]) -> str:
    if len(words) != 1 or words[0] not in completion.SCRIPTS:
        shells = ", ".join(completion.SCRIPTS)
        sys.exit(f"error: say for which shell, {CONSOLE} completion bash, one of: {shells}.")
    return completion.SCRIPTS[words[0]]()


def _check_place(first: str, rest: list[str]) -> None:
    """Ends the program where the first word is neither a mode nor a place."""
    others = [word for word in rest if not word.startswith("-")]
    place = os.path.expanduser(first)
    if first.startswith("-"):
        sys.exit(
            f"error: the first word is a mode, or what to score: {CONSOLE} photos/ {first} ... "
            f"See {CONSOLE} --help."
        )
    if others and os.path.lexists(others[0]):
        sys.exit(
            "error: one folder, image, pattern or list at a time. Put a pattern in quotes, so that "
            f"the shell leaves it as it is: {CONSOLE} 'photos/*.jpg'."
        )
    if os.path.lexists(place) or glob.has_magic(place):
        return
    near = difflib.get_close_matches(first, [*MODES, "completion"], 1)
    hint = f" Did you mean {CONSOLE} {near[0]}?" if near else ""
    sys.exit(
        f"error: {first} is no mode, and there is no folder or file of this name.{hint} "
        f"See {CONSOLE} --help."
    )


def _score() -> int:
    """Scores what the flags say, and prints the lowest scores."""
    status = run_mode()
    given = flags.FLAGS
    table = Path(given.output).with_suffix(".csv")
    if not given.shard and Path(given.output).suffix in (".csv", Path(_PAGE).suffix):
        from iqa_jax.scoring.tables.lowest import lowest_scores

        print(lowest_scores(table, _LOWEST))
        if table.name != Path(given.output).name:
            print(f"A page to look at: {given.output}. The table: {table}.")
        else:
            print(f"The table: {table}.")
    return status
