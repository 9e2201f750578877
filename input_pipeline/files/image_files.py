"""Finds the image files that a folder, pattern, file or text list stands for, in a fixed order.

Nobody expects to see what is hidden: names that begin with a dot, as the `._` copies of a Mac, and
the folder `__MACOSX` of its archives. Linked folders are followed, but no real folder is visited
twice, so links in a circle end. What is named like a picture is listed even if it cannot be read
(a link to nothing, say), so that it becomes an error row and not a gap; other files are counted.
"""

import contextlib
import glob
import heapq
import itertools
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from input_pipeline.files.file_names import one_line, slash_hint
from input_pipeline.files.images import SUFFIXES, ImageError

_BROKEN_LINK = "broken links"
_OTHER_ENDINGS = "other endings"
# Names of one folder in memory; the rest waits in temporary files.
_NAMES_AT_ONCE = 50_000
# Kinds of files counted apart, and those of them that are told.
_ENDINGS_COUNTED = 1000
_ENDINGS_TOLD = 5

_FOLDER, _FILE, _OTHER, _UNREADABLE = "folder", "file", "other", "unreadable"


def list_images(
    source: str | os.PathLike, passed_over: Counter[str] | None = None
) -> Iterator[str]:
    """Lists the image files that a folder, pattern, file or text list stands for.

    Args:
        source: a folder (searched with its subfolders for the endings in `SUFFIXES`); a pattern
            such as `photos/**/*.jpg`; one image file; or a `.txt` file with one path per line,
            relative to that file. A path that exists is no pattern, and neither are the folders
            that a pattern begins with, if they exist.
        passed_over: counts, by their endings, the files of a folder that are not listed.

    Yields:
        Paths. Folder and pattern: the files, sorted; also a subfolder that cannot be read. Text: a
        file per line. A file named outright is listed even if it does not exist.

    Raises:
        ImageError: a folder, pattern or list holds no image.
        OSError: the folder itself cannot be read.
    """
    passed_over = Counter() if passed_over is None else passed_over
    path, text = Path(source), str(source)
    if os.path.isdir(path):
        found = _list_folder(str(path), passed_over)
        hint = f"the folder holds no file ending in {', '.join(SUFFIXES)}"
    elif path.suffix.lower() == ".txt":
        found = _read_lines(path)
        hint = "the list names no file; write one path per line"
    elif glob.has_magic(text) and not os.path.lexists(path):
        found = iter(sorted(set(_match(text)), key=lambda name: name.split(os.sep)))
        hint = "no file matches the pattern; quote it, and use ** for subfolders" + slash_hint(text)
    else:
        found, hint = iter([str(path)]), ""
    is_empty = True
    for name in found:
        is_empty = False
        yield name
    if is_empty:
        others = f"; {tell_passed_over(passed_over)}" if passed_over else ""
        raise ImageError(f"{source}: {hint}{others}.")


def tell_passed_over(passed_over: Mapping[str, int]) -> str:
    """Writes `5 other files passed over (.heic 3, .gif 2)`, the most frequent endings first."""
    total = sum(passed_over.values())
    ranked = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{one_line(ending)} {count}" for ending, count in ranked[:_ENDINGS_TOLD]]
    if rest := sum(count for _, count in ranked[_ENDINGS_TOLD:]):
        told.append(f"others {rest}")
    return f"{total} other file{'' if total == 1 else 's'} passed over ({', '.join(told)})"


def _list_folder(folder: str, passed_over: Counter[str]) -> Iterator[str]:
    for path, kind in _Tree(folder).walk():
        if kind == _FOLDER:
            continue
        if kind == _UNREADABLE or path.lower().endswith(SUFFIXES):
            yield path
            continue
        ending = os.path.splitext(path)[1].lower() or "no ending"
        if kind == _OTHER and not os.path.exists(path):
            ending = _BROKEN_LINK
        is_counted = ending in passed_over or len(passed_over) < _ENDINGS_COUNTED
        passed_over[ending if is_counted else _OTHER_ENDINGS] += 1


class _Tree:
    """A folder and all that can be seen below it.

    Args:
        folder: where to begin.
    """

    def __init__(self, folder: str):
        self._folder, self._root = folder, os.path.realpath(folder)
        # Real folders outside, which links have led to.
        self._entered: set[str] = set()

    def walk(self) -> Iterator[tuple[str, str]]:
        """Gives paths and their kinds, as if all were sorted by the parts of their paths.

        Raises:
            OSError: the first folder cannot be read.
        """
        yield from self._walk(self._folder, self._root, True, _sorted_entries(self._folder))

    def _walk(
        self, folder: str, real: str, is_inside: bool, entries: Iterator[tuple[str, str]]
    ) -> Iterator[tuple[str, str]]:
        for name, kind in entries:
            path, below, stays = os.path.join(folder, name), os.path.join(real, name), is_inside
            if kind == _OTHER and os.path.isdir(path):
                kind, below, stays = _FOLDER, os.path.realpath(path), False
            if kind != _FOLDER:
                yield path, kind
            elif stays or self._enter(below):
                try:
                    inner = _sorted_entries(path)
                    first = next(inner, None)
                except OSError:
                    yield path, _UNREADABLE
                    continue
                yield path, _FOLDER
                rest = inner if first is None else itertools.chain([first], inner)
                yield from self._walk(path, below, stays, rest)

    def _enter(self, real: str) -> bool:
        """Says whether a folder that a link led to is still to be visited."""
        below = os.path.relpath(real, self._root).split(os.sep)
        # Inside it is visited without the link, unless it is hidden there.
        if (below[0] != os.pardir and not any(map(_is_hidden, below))) or real in self._entered:
            return False
        self._entered.add(real)
        return True


def _sorted_entries(folder: str) -> Iterator[tuple[str, str]]:
    """Gives names and kinds of what can be seen in one folder, sorted, in memory that is flat."""
    with contextlib.ExitStack() as closing:
        entries = closing.enter_context(os.scandir(folder or os.curdir))
        seen = ((entry.name, _kind_of(entry)) for entry in entries if not _is_hidden(entry.name))
        run, files = sorted(itertools.islice(seen, _NAMES_AT_ONCE)), []
        if len(run) < _NAMES_AT_ONCE:
            yield from run
            return
        while run:
            files.append(closing.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")))
            files[-1].writelines(f"{json.dumps(entry)}\n" for entry in run)
            files[-1].seek(0)
            run = sorted(itertools.islice(seen, _NAMES_AT_ONCE))
        yield from heapq.merge(*(map(tuple, map(json.loads, file)) for file in files))


def _kind_of(entry: os.DirEntry) -> str:
    """Tells folders and files apart without asking the disk; links may be anything."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return _FOLDER
        return _FILE if entry.is_file(follow_symlinks=False) else _OTHER
    except OSError:
        return _OTHER


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


def _match(pattern: str) -> Iterator[str]:
    """Finds what a pattern stands for; the longest beginning that is a folder means itself."""
    parts = pattern.split(os.sep)
    for count in range(len(parts) - 1, 0, -1):
        start = os.sep.join(parts[:count]) or os.sep
        if os.path.isdir(start):
            return _match_below(start, parts[count:])
    return _match_below("", parts)


def _match_below(folder: str, parts: list[str]) -> Iterator[str]:
    # `glob` would follow links in a circle through **, so that is ours.
    deep = parts.index("**") if "**" in parts else len(parts)
    found = glob.iglob(os.path.join(glob.escape(folder), *parts[:deep])) if deep else [folder]
    if deep == len(parts):
        yield from itertools.filterfalse(os.path.isdir, found)
        return
    after = parts[deep + 1 :] or ["*"]
    for start in found:
        if start and not os.path.isdir(start):
            continue
        yield from _match_below(start, after)
        try:
            for below, kind in _Tree(start).walk():
                if kind == _FOLDER:
                    yield from _match_below(below, after)
                elif kind == _UNREADABLE:
                    yield below
        except PermissionError:
            yield start


def _read_lines(path: Path) -> Iterator[str]:
    try:
        # As `find` wrote them: names of files need not be UTF-8.
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for line in file:
                if "\0" in line:
                    raise ImageError(f"{path}: the list of images is no UTF-8 text; save it so.")
                if line.strip():
                    yield str(path.parent / line.strip())
    except OSError as error:
        hint = slash_hint(path) if isinstance(error, FileNotFoundError) else ""
        raise ImageError(f"{path}: the list of images cannot be read ({error}){hint}.") from error
