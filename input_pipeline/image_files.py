"""Which image files a folder, a pattern or a text list stands for."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from input_pipeline.images import SUFFIXES, ImageError


def find_images(source: str | os.PathLike) -> Iterator[str]:
    """Lists the image files that a folder, pattern, file or text list stands for.

    Args:
      source: a folder (searched with its subfolders for the suffixes in `SUFFIXES`); a pattern
        such as `photos/**/*.jpg`; one image file; or a `.txt` file with one path per line,
        relative to that file.

    Yields:
      Folder and pattern: the files, sorted. Text: a file per line. A file named outright is listed
      even if it does not exist, so that it becomes an error row and not a gap.

    Raises:
      ImageError: a folder, pattern or list holds no image.
      OSError: a folder cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        found = _walk(str(path))
        hint = f"the folder holds no file ending in {', '.join(SUFFIXES)}"
    elif path.suffix.lower() == ".txt":
        found = _read_lines(path)
        hint = "the list names no file; write one path per line"
    elif glob.has_magic(str(source)) and not path.exists():
        names = filter(os.path.isfile, glob.iglob(str(source), recursive=True))
        found = iter(sorted(set(names), key=lambda name: name.split(os.sep)))
        hint = "no file matches the pattern; quote it, and use ** for subfolders"
    else:
        found, hint = iter([str(path)]), ""
    is_empty = True
    for name in found:
        is_empty = False
        yield name
    if is_empty:
        raise ImageError(f"{source}: {hint}.")


def _walk(folder: str) -> Iterator[str]:
    """Goes through a folder as if all its files were sorted by the parts of their paths."""
    with os.scandir(folder) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif (
            entry.name.lower().endswith(SUFFIXES)
            and not entry.name.startswith(".")
            and entry.is_file()
        ):
            yield entry.path


def _read_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    yield str(path.parent / line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: the list of images cannot be read ({error}).") from error
