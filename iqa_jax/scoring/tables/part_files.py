"""Rows of results that survive a kill: part files on the way to one table.

`scores.csv` grows in the folder `scores.csv.parts`. Each part is written aside, forced to the
disk and renamed, so it is there whole or not at all, and its name says which rows it holds. When
all are there they become the table, in their order, and the folder goes.
"""

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from iqa_jax.run.workdir import WorkdirError
from iqa_jax.scoring.tables.writers import TABLE_WRITERS

# A part is written after so many rows, or so long after the last one.
ROWS_PER_PART = 1000
_SECONDS_PER_PART = 60.0
_ROWS_PER_WRITE = 10_000
_NAME = re.compile(r"rows-(\d{10})-(\d{10})\.jsonl")


class Parts:
    """The rows of one table that are finished; leaving `with` writes those still in memory.

    Args:
        target: the table: `.csv`, `.jsonl` or `.parquet`.

    Attributes:
        folder: of the parts.
        done: rows that are kept in parts.
    """

    def __init__(self, target: Path):
        self.target = target
        self.folder = target.with_name(target.name + ".parts")
        self.done = 0
        self._rows: list[Mapping[str, Any]] = []
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, *error) -> None:
        # A disk that has just refused a part would refuse it again.
        if not (kind and issubclass(kind, WorkdirError)):
            self._write_part()

    def open(self, about: Mapping[str, str]) -> None:
        """Begins, or goes on where an earlier start stopped.

        Args:
            about: what the rows depend on, by what people call it.

        Raises:
            WorkdirError: the folder is of a start whose rows are others, or is damaged, or cannot
                be written.
        """
        path = self.folder / "about.json"
        try:
            # What a kill has left behind after the table was complete.
            shutil.rmtree(self._trash, ignore_errors=True)
            self.folder.mkdir(exist_ok=True)
            if not path.exists():
                _write(path, json.dumps(about))
            known = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise self._unwritable(error) from error
        except ValueError as error:
            raise WorkdirError(
                f"{path} is damaged or cut short ({error}): delete {self.folder} and start the "
                "same command again, which scores all images anew."
            ) from error
        changed = [name for name, value in about.items() if known.get(name) != value]
        if changed:
            raise WorkdirError(
                f"{self.folder} holds rows of an earlier start, since when there is a change in: "
                f"{', '.join(changed)}. Undo it to go on there; or delete that folder, or give "
                "another --output, to start anew."
            )
        self.done = self._count()

    def add(self, row: Mapping[str, Any]) -> None:
        """Takes the next row.

        Raises:
            WorkdirError: it cannot be written; the parts before it are kept.
        """
        self._rows.append(row)
        is_late = time.monotonic() - self._written >= _SECONDS_PER_PART
        if len(self._rows) >= ROWS_PER_PART or is_late:
            self._write_part()

    def read(self) -> Iterator[dict[str, Any]]:
        """Gives all rows in their order.

        Raises:
            WorkdirError: a part is damaged.
        """
        self._write_part()
        for path in sorted(self.folder.glob("rows-*.jsonl")):
            try:
                with path.open(encoding="utf-8") as file:
                    rows = [json.loads(line) for line in file]
            except ValueError as error:
                raise WorkdirError(
                    f"{path} is damaged or cut short ({error}): delete it and the parts after it, "
                    "and start the same command again, which scores their images anew."
                ) from error
            yield from rows

    def finish(self, columns: Mapping[str, type]) -> int:
        """Makes the table of the parts; it appears when it is complete, and the parts go.

        Args:
            columns: names and types of what is written of each row.

        Returns:
            How many rows have an error.

        Raises:
            WorkdirError: it cannot be written, or another process has written parts too; the parts
                are kept.
        """
        self._write_part()
        self._count()
        aside, errors = self.target.with_name(self.target.name + ".part"), 0
        try:
            with TABLE_WRITERS[self.target.suffix](aside, columns) as write:
                rows = ({name: row.get(name) for name in columns} for row in self.read())
                while batch := list(itertools.islice(rows, _ROWS_PER_WRITE)):
                    errors += sum(bool(row["error"]) for row in batch)
                    write(batch)
            _replace(aside, self.target)
            # In one step: half a folder of parts would be taken for a start to go on with.
            self.folder.replace(self._trash)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise self._unwritable(error) from error
        shutil.rmtree(self._trash, ignore_errors=True)
        return errors

    @property
    def _trash(self) -> Path:
        return self.folder.with_suffix(".parts-done")

    def _count(self) -> int:
        """Counts the rows of the parts, each of which must go on where the one before it ends."""
        done = 0
        for name in sorted(entry.name for entry in self.folder.iterdir()):
            if match := _NAME.fullmatch(name):
                start, stop = map(int, match.groups())
                if start != done:
                    raise WorkdirError(
                        f"{self.folder}: there should be a part from row {done} on, but the next "
                        f"is {name}; see that one process alone writes there, and delete that and "
                        "those after it to go on."
                    )
                done = stop
        return done

    def _write_part(self) -> None:
        self._written = time.monotonic()
        if not self._rows:
            return
        stop = self.done + len(self._rows)
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        try:
            _write(self.folder / f"rows-{self.done:010}-{stop:010}.jsonl", text)
        except OSError as error:
            raise self._unwritable(error) from error
        self.done, self._rows = stop, []

    def _unwritable(self, error: OSError) -> WorkdirError:
        kept = f"{self.done} finished rows are kept in {self.folder}; " if self.done else ""
        return WorkdirError(
            f"{self.target} cannot be written ({error.strerror or error}): {kept}make room or "
            "choose another place, and start the same command again."
        )


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all, for good."""
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(text, encoding="utf-8")
        _replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _replace(aside: Path, path: Path) -> None:
    """Gives a file its name once its content is on the disk."""
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(path)
    if os.name == "posix":  # Elsewhere a folder cannot be opened, nor need be.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
