"""Finds what is on both sides of a split: the same file, group or content.

Works across two manifests too, where equal names may be different files and equal files have
different names. The name of a group means something within a data set only: groups of two manifests
are compared where these are of one data set, having a folder of images, a file or a content in
common. So `scene1` here is not `scene1` of somebody else's photographs, but it is that of another
list of the same ones.
"""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool

from input_pipeline.files.file_names import name_text
from input_pipeline.files.images import ImageError
from input_pipeline.tables.cells import name_rows
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource

# The columns of `identify_images`.
IDENTITY = ("name", "file_row", "split", "manifest", "folder", "place", "group", "content")
_SHOWN = 10


def identify_images(manifest: Manifest, source: TileSource) -> pd.DataFrame:
    """Says of each image what would give it away elsewhere.

    Args:
        manifest: of the images.
        source: of the same images.

    Returns:
        Indexed by image_id: `name`, `file_row`, `split`, `manifest` (its digest), `folder` and
        `place` (the real path, or the name of an image given as tiles), `group` (None where the
        manifest gave none) and `content` (None where a file cannot be read).
    """
    images, content = manifest.images, []
    table = os.path.realpath(manifest.path)
    for image_id in images.index:
        try:
            content.append(source.content(int(image_id)))
        except ImageError:
            content.append(None)
    places = [os.path.realpath(path) if path else "" for path in images["path"]]
    return pd.DataFrame(
        {
            "name": images["name"],
            "file_row": images["file_row"],
            "split": images["split"],
            "manifest": manifest.digest,
            "folder": [name_text(os.path.dirname(place or table)) for place in places],
            "place": [
                name_text(place or table) + (f": {name}" if not place else "")
                for place, name in zip(places, images["name"], strict=True)
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
    trained = _with_comparable_groups(trained, tested)
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


def find_seen(trained: pd.DataFrame, tested: pd.DataFrame) -> Bool[np.ndarray, " image"]:
    """Says which of tested images share their file, group or content with one that trains.

    Args:
        trained, tested: as in `find_leaks`.
    """
    trained = _with_comparable_groups(trained, tested)
    shared = [
        tested[column].isin(trained[column].dropna()) for column in ("place", "group", "content")
    ]
    return np.any(shared, axis=0)


def format_leaks(leaks: Sequence[str]) -> str:
    """Lays leaks out one to a line, the first of them where there are many."""
    lines = [f"  {leak}" for leak in leaks[:_SHOWN]]
    if len(leaks) > _SHOWN:
        lines.append(f"  … and {len(leaks) - _SHOWN} more")
    return "\n".join(lines)


def _with_comparable_groups(trained: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Takes the groups away from images of other data sets than the tested ones."""
    of_data_set = [
        digest
        for digest, images in trained.groupby("manifest")
        if any(
            images[column].dropna().isin(tested[column].dropna()).any()
            for column in ("manifest", "folder", "place", "content")
        )
    ]
    is_known = trained["manifest"].isin(of_data_set)
    return trained.assign(group=trained["group"].where(is_known, None))


def _names(rows: pd.DataFrame) -> str:
    names: Sequence[str] = list(rows["name"])
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
