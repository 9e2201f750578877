"""The fenced blocks of README.md and docs/, and what a command on a page does at toy size."""

import contextlib
import io
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from absl import app, flags

from iqa_jax import command_line, console, program
from tiny import ROOT, TINY

_FENCE = re.compile(r"```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"<!-- (not run|table): (.+?) -->\n$")
_LANGUAGES = {"sh", "python", "csv", "text", "yaml", ""}
# What makes any recipe small, after what a page says: a network of few layers, few small tiles.
_TOY = {
    **{key: value for key, value in TINY.items() if key != "data.features"},
    "tiles.edge_sum_min": 0,
    "encoder.mobilenet_v2.drop_block_size": 0,
    "model.weights": "none",
    "model.trainable_layers": -1,
    "bags.cached": False,
    "bags.copies": 1,
    "evaluate_every_epochs": 1.0,
    "compare.splits": 1,
    "compare.fusions": ("mean_embedding",),
    "protocol.splits": 1,
    "noise.folds": 2,
}


class Enough(BaseException):
    """Ends a command whose rest other tests see to."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: its file, relative to the checkout.
        line: of the fence.
        language: what the fence says.
        text: between the fences.
        reason: why it is not run, "" if it is.
        table: the file that it is the beginning of, "" if of none.
        prints: what it prints, by the `text` block right below it; `…` stands for anything.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    table: str = ""
    prints: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> list[list[str]]:
        """Parts the lines into words, as a shell does; comments are left out."""
        if self.language == "yaml":
            return [shlex.split(command) for command in re.findall(r'"(iqa-jax [^"]+)"', self.text)]
        joined = self.text.replace("\\\n", " ")
        return [
            words for line in joined.splitlines() if (words := shlex.split(line, comments=True))
        ]


def pages() -> list[str]:
    """Lists README.md and the pages of docs/ in the order in which mkdocs shows them."""
    return ["README.md", *(f"docs/{page}" for page in _leaves(_navigation()))]


def _navigation():
    # The file has no tag of Python in it.
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]


def _leaves(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    items = entry.values() if isinstance(entry, dict) else entry
    return [leaf for item in items for leaf in _leaves(item)]


def read_blocks(page: str) -> list[Block]:
    """Reads the fenced blocks of a page."""
    text = (ROOT / page).read_text()
    found, blocks = list(_FENCE.finditer(text)), []
    for number, fence in enumerate(found):
        language, content = fence.groups()
        line = text.count("\n", 0, fence.start()) + 1
        assert language in _LANGUAGES, f"{page}:{line}: {language} is none of {_LANGUAGES}"
        mark = _MARK.search(text[: fence.start()])
        after = found[number + 1] if number + 1 < len(found) else None
        is_followed = after and after[1] == "text" and not text[fence.end() : after.start()].strip()
        blocks.append(
            Block(
                page,
                line,
                language,
                content,
                reason=mark[2] if mark and mark[1] == "not run" else "",
                table=mark[2] if mark and mark[1] == "table" else "",
                prints=after[2] if is_followed else "",
            )
        )
    return blocks


def make_small(words: list[str], cache: Path) -> list[str]:
    """Gives a command of ours the flags that make its training small."""
    if "train" not in words[1:2] and not {"compare", "protocol", "clean"} & set(words[1:2]):
        return words
    keys = dict(_TOY) | {"bags.cache_folder": cache}
    given = {word.partition("=")[0].removeprefix("--config."): word for word in words}
    if "runs/" in given.get("model.weights", ""):
        del keys["model.weights"]
    if "--config=ranking" in words and "data.label_kind" not in given:
        keys["batch_size"] = 12  # Whole groups of six levels.
    return [*words, *(f"--config.{key}={value}" for key, value in keys.items())]


def run(words: list[str], is_only_read: bool = False) -> tuple[int, str]:
    """Runs a command of ours in this process.

    Args:
        words: the command, as a shell would give it.
        is_only_read: end once the flags, the recipe and its keys are read.

    Returns:
        The exit status, and what it printed.
    """
    does = _read_flags if is_only_read else _read_flags_and_run
    start, argv = _start(words)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", argv)
        patch.setattr(sys, "stderr", printed)
        # Of absl's, what parses and calls; the rest can be done once in a process.
        patch.setattr(program.app, "run", does)
        # The process is that of the tests, which ends as it did before.
        patch.setattr(program.signal, "signal", lambda *_: None)
        try:
            start()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                print(end.code)
        except Enough:
            status = 0
        finally:
            _forget_flags()
    return status or 0, printed.getvalue()


def _read_flags_and_run(main, flags_parser) -> None:
    sys.exit(main(flags_parser(sys.argv)))


def _read_flags(_, flags_parser) -> None:
    assert len(flags_parser(sys.argv)) == 1
    try:
        command_line.check_flags()
    except app.UsageError as error:
        sys.exit(str(error))


def ours(words: list[str]) -> list[str]:
    """Gives the part of a command that starts our program, [] if it does not."""
    for place, word in enumerate(words):
        if Path(word).name == "iqa-jax":
            return ["iqa-jax", *words[place + 1 :]]
        if word == "main.py":
            return ["python", *words[place:]]
    return []


def _start(words: list[str]):
    if words[0] == "iqa-jax":
        return console.main, words
    if words[:3] == ["python", "-m", "iqa_jax"]:
        return program.run_program, ["iqa_jax/__main__.py", *words[3:]]
    assert words[:2] == ["python", "main.py"], f"no test knows how to run {shlex.join(words)}"
    return program.run_program, words[1:]


def _forget_flags() -> None:
    """Leaves the flags as they are before a command line is read."""
    flags.FLAGS.unparse_flags()
    for name in list(flags.FLAGS):
        if name.startswith("config."):
            delattr(flags.FLAGS, name)
    for flag in flags.FLAGS.get_flags_for_module(command_line.__name__):
        flag.unparse()
    flags.FLAGS.mark_as_parsed()


def says(printed: str, expected: str) -> bool:
    """Says whether a text holds another, in which `…` stands for anything and space is space."""
    parts = [re.escape(" ".join(part.split())) for part in expected.split("…")]
    return re.search(".*".join(parts), " ".join(printed.split())) is not None


def expand(words: list[str]) -> tuple[list[str], str]:
    """Puts variables in, and gives where the output goes, "" if nowhere."""
    words = [os.path.expandvars(word) for word in words]
    if ">" not in words:
        return words, ""
    place = words.index(">")
    return words[:place], words[place + 1]
