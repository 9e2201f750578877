"""The folder that `explain` writes: it holds what its index lists, and nothing else.

A row is in the index, or in its part, before the files that it names are written. So whatever an
earlier start has left, even a killed one, is known by name and makes room for the next; anything
else is not ours to delete, and the folder is refused.
"""

import csv
import os
import re
from collections.abc import Iterable
from pathlib import Path

from input_pipeline.files.file_names import one_line
from iqa_jax.host.lock import LOCK
from iqa_jax.run.workdir import WorkdirError

COLUMNS = {
    "path": str, "figure": str, "maps": str, "score": float, "label": str, "anomaly": float,
    "tiles": int, "error": str, "warning": str,
}  # fmt: skip
INDEX, PART = "index.csv", "index.csv.part"
_OWN_NAME = re.compile(r"\d{5,}_[A-Za-z0-9._-]+\.(png|npz)")
_NAME_LENGTH = 60
_NAMES_SHOWN = 3


def stem_of(place: int, name: str) -> str:
    """Names the files of an image by letters and digits that every file system takes."""
    safe = re.sub(r"[^A-Za-z0-9.-]+", "_", Path(name).stem)[:_NAME_LENGTH].strip("._")
    return f"{place:05}_{safe or 'image'}"


def find_own_files(folder: Path) -> list[Path]:
    """Lists what earlier starts have left in a folder, its indexes last.

    Raises:
        WorkdirError: it holds something else, besides what is hidden.
    """
    if not folder.is_dir():
        return []
    indexes, figures = [], set()
    for index in (folder / PART, folder / INDEX):
        if (names := _read_names(index)) is not None:
            indexes.append(index)
            figures |= names
    own = [folder / name for name in sorted(figures) if (folder / name).is_file()] + indexes
    others = sorted({*folder.iterdir()} - {*own, folder / LOCK})
    if names := [path.name for path in others if not path.name.startswith(".")]:
        shown = ", ".join(map(one_line, names[:_NAMES_SHOWN]))
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        raise WorkdirError(
            f"--output={folder} holds files that --mode=explain has not written ({shown}{more}); "
            "give another folder, or move them away."
        )
    return own


def clear_folder(folder: Path, images: Iterable[str | os.PathLike]) -> None:
    """Makes a folder for figures, or takes out what earlier starts have left in it.

    Args:
        folder: of the figures.
        images: what is to be explained, which must not go.

    Raises:
        WorkdirError: the folder holds something else, or one of the images.
    """
    own = find_own_files(folder)
    if clash := {os.path.realpath(path) for path in own} & {*map(os.path.realpath, images)}:
        raise WorkdirError(
            f"--images has {one_line(min(clash))}, a figure of an earlier start in "
            f"--output={folder}; give a folder that is not among the images."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path in own:
        path.unlink()


def _read_names(index: Path) -> set[str] | None:
    """Reads which files an index lists; None if it is no index of ours."""
    if not index.is_file():
        return None
    with index.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        # An index from before the column `warning` is ours too.
        if (rows.fieldnames or []) not in ([*COLUMNS], [*COLUMNS][:-1]):
            return None
        # What a kill tore off is None.
        names = {row[key] or "" for row in rows for key in ("figure", "maps")}
    return {*filter(_OWN_NAME.fullmatch, names)}
