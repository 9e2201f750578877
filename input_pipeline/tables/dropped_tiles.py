"""The list of tiles that training leaves out: a table beside the manifest.

A list and not a manifest of what is left: the images stay as they are, so that training still
moves the tiles it keeps, and evaluation still answers whole images.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import ManifestError, read_table

PLACE = ("image", "row", "column")


def drop_tiles(manifest: Manifest, path: str | Path) -> Manifest:
    """Adds the tiles of a table to a manifest as those that training leaves out.

    Args:
        manifest: of the images.
        path: a CSV or Parquet file with the columns `image` (the name of an image of the manifest),
            `row` and `column` (of its grid, from 0); others are for people.

    Returns:
        The manifest with these tiles, and a digest of both.

    Raises:
        ManifestError: the table has other columns, names an image that is not there, or a place
            that is none.
    """
    path = Path(path).absolute()
    table = read_table(path)
    missing = [name for name in PLACE if name not in table]
    if missing:
        raise ManifestError(path, [f"there is no column {name!r}" for name in missing])
    image_ids = {name: image_id for image_id, name in manifest.images["name"].items()}
    problems = [
        f"row {row}: {name!r} is no image of {manifest.path}"
        for row, name in table["image"].items()
        if name not in image_ids
    ]
    for column in PLACE[1:]:
        is_place = table[column].str.fullmatch(r"[0-9]{1,9}")
        problems += [
            f"row {row}: the tile's {column} must be a whole number from 0 on, not {cell!r}"
            for row, cell in table[column][~is_place].items()
        ]
    if problems:
        raise ManifestError(path, problems)
    places = table[[*PLACE]].itertuples(index=False)
    dropped = frozenset((image_ids[name], int(row), int(column)) for name, row, column in places)
    content = json.dumps([manifest.digest, sorted(dropped)])
    return dataclasses.replace(
        manifest, dropped_tiles=dropped, digest=hashlib.sha256(content.encode()).hexdigest()
    )
