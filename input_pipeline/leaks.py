"""Finds what is on both sides of a split: the same file, group or content.

Works across two manifests too, where equal names may be different files and equal files have
different names.
"""

import os
from collections.abc import Sequence

import pandas as pd

from input_pipeline.cells import name_rows
from input_pipeline.file_names import name_text
from input_pipeline.images import ImageError
from input_pipeline.manifest import Manifest
from input_pipeline.sources import TileSource

_SHOWN = 10


def identify_images(manifest: Manifest, source: TileSource) -> pd.DataFrame:
    """Says of each image what would give it away elsewhere.

    Args:
      manifest: of the images.
      source: of the same images.

    Returns:
      Indexed by image_id: `name`, `file_row`, `place` (the real path, or the name of an image
      given as tiles), `group` (None where the manifest gave none) and `content` (None where a file
      cannot be read).
    """
    images, content = manifest.images, []
    for image_id in images.index:
        try:
            content.append(source.content(int(image_id)))
        except ImageError:
            content.append(None)
    return pd.DataFrame(
        {
            "name": images["name"],
            "file_row": images["file_row"],
            "place": [
                name_text(os.path.realpath(path)) if path else f"{manifest.path}: {name}"
                for path, name in zip(images["path"], images["name"], strict=True)
            ],
            # An image without a group is its own, by its name, which two data sets may share.
            "group": images["group"].where(images["group"] != images["name"], None),
            "content": content,
        }
    )


def find_leaks(trained: pd.DataFrame, tested: pd.DataFrame) -> list[str]:
    """Lists what images that train, or choose a checkpoint, share with tested ones.

    Args:
      trained, tested: as `identify_images` gives them.

    Returns:
      One sentence per shared file, group or content; empty where nothing leaks.
    """
    leaks, told = [], set()
    for column, what in (("place", "the file"), ("group", "the group"), ("content", "the content")):
        shared = set(trained[column].dropna()) & set(tested[column].dropna())
        for value in sorted(shared):
            here, there = (rows[rows[column] == value] for rows in (trained, tested))
            # A file that is the same is of the same content too.
            if column == "content" and told.issuperset(there["place"]):
                continue
            if column == "place":
                told.add(value)
            of = f" {value!r}" if column == "group" else f" of {_names(there)}"
            leaks.append(
                f"{what}{of} is trained on ({_names(here)}: {name_rows(here['file_row'])}) and "
                f"tested on ({name_rows(there['file_row'])})"
            )
    return leaks


def format_leaks(leaks: Sequence[str]) -> str:
    """Lays leaks out one to a line, the first of them where there are many."""
    lines = [f"  {leak}" for leak in leaks[:_SHOWN]]
    if len(leaks) > _SHOWN:
        lines.append(f"  … and {len(leaks) - _SHOWN} more")
    return "\n".join(lines)


def _names(rows: pd.DataFrame) -> str:
    names: Sequence[str] = list(rows["name"])
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
