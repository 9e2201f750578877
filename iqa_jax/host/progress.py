"""Tells people how far long work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from input_pipeline.files.file_names import name_text

_LINE_EVERY_SECONDS = 10.0
_is_silent = False


def be_silent() -> None:
    """Says nothing from now on: another process of this run speaks for all."""
    global _is_silent
    _is_silent = True


def say(line: str = "") -> None:
    """Prints a line at once, so that a log shows it when it happens."""
    if not _is_silent:
        print(name_text(line), flush=True)


def note(line: str) -> None:
    """Prints a line that is no part of the answer, beside it: on the error stream."""
    if not _is_silent:
        print(name_text(line), file=sys.stderr, flush=True)


def complain(error: Exception) -> None:
    """Prints the error that ends this process, even where another one speaks for all."""
    print(name_text(f"error: {error}"), file=sys.stderr, flush=True)


class Meter:
    """Counts work that is done; made by `meter`."""

    def __init__(self, name: str, total: int | None, bar: Progress | None):
        self._name, self._total, self._bar = name, total, bar
        self._task = bar.add_task(name, total=total, detail="") if bar else None
        self._start = self._last_line = time.monotonic()
        self._first: int | None = None

    def update(self, done: int, detail: str = "") -> None:
        """Shows that `done` of the total are done."""
        if self._first is None:
            self._first = done
        if self._bar:
            self._bar.update(self._task, completed=done, detail=detail)
            return
        now = time.monotonic()
        if now - self._last_line < _LINE_EVERY_SECONDS and done != self._total:
            return
        self._last_line = now
        total = f"/{self._total}" if self._total else ""
        say(f"{self._name} {done}{total}  {detail}{self._time_left(done, now)}".rstrip())

    def _time_left(self, done: int, now: float) -> str:
        if not self._total or done <= self._first or done >= self._total:
            return ""
        left = (self._total - done) * (now - self._start) / (done - self._first)
        return f"  {left / 60:.0f} min left" if left >= 90 else f"  {left:.0f} s left"


@contextmanager
def meter(name: str, total: int | None = None) -> Iterator[Meter]:
    """Opens a meter; `total` is None where nobody knows it.

    On a terminal, lines that others print appear above the bar.
    """
    if _is_silent or not sys.stdout.isatty():
        yield Meter(name, total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console()) as bar:
        yield Meter(name, total, bar)
