"""Reads the table that names the images and checks everything the table alone can tell.

A manifest is a CSV or Parquet file with one row per image (or per tile that was already cut).
Columns:

* `path` (required): absolute, or relative to the manifest's own folder;
* the label column (required unless the table is only read for prediction);
* `group`: rows that must stay together, such as photos of one scene. An empty cell is a group
  of its own;
* `split`: any names. Without this column splits are drawn, seeded, stratified and grouped;
* `image`, `row`, `column`: the file is a tile, found at that place of that image's grid;
* numeric features, by the names that the caller asks for.

Where no labels are needed, a folder of images stands for a manifest of their paths alone. Pairs of
images that people have compared are another table: see `pairs`.

All problems of a table are collected and raised together, each with the row that a spreadsheet
shows (the header is row 1). What only the files behind the paths can tell is in `audit`.
"""

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from input_pipeline.files.file_names import name_text
from input_pipeline.files.image_files import list_images
from input_pipeline.files.images import ImageError
from input_pipeline.files.prepared import is_prepared, record_paths
from input_pipeline.tables.cells import (
    RESERVED_COLUMNS,
    ROWS_SHOWN,
    TILE_COLUMNS,
    find_repeats,
    name_rows,
    read_grid_places,
    read_numbers,
)
from input_pipeline.tables.labels import LabelSpec, read_labels
from input_pipeline.tables.splits import assign_splits
from input_pipeline.tables.table_files import ManifestError, read_table, suggest

SPLIT_ORDER = ("train", "val", "test", "holdout")
DEFAULT_FRACTIONS = MappingProxyType({"train": 0.7, "val": 0.15, "test": 0.15})


@dataclasses.dataclass(frozen=True, eq=False)
class Manifest:
    """A table that was read and checked.

    Attributes:
        path: where it was read.
        label: what its labels mean; None when it was read without labels.
        images: one row per image, indexed by image_id 0…n-1 in the order of the file. Columns:
            `name` (the path or image as written), `path` (absolute, the true name, which need not
            be text; empty for images that are given as tiles), `label` (int32 class index, -1 for
            marginal or unlabelled; float32 on the declared scale, higher is better, for numeric
            labels), `label_text` (as written), `group`, `split`, `file_row` (as a spreadsheet
            shows it, the first of the image), then the features as float32.
        tiles: None, or one row per tile that was already cut: `image_id`, `name`, `path`, `row`,
            `column`, `file_row`, ordered by image, row and column.
        pairs: None, or one row per comparison: `first` and `second` (image_id), `preference` (1:
            the first is better, 0: the second, 0.5: a tie), `kind` (of what tells them apart, or
            empty) and `figure` (the figure of an evaluation that the pair counts in).
        feature_names: the features, in the order of their columns.
        digest: sha256 of the rows as the program uses them; moving the folder or changing
            the file's format leaves it alone.
        dropped_tiles: (image_id, row, column) of tiles that training leaves out.
        passed_over: files of a folder of images that are none, counted by their endings.
        is_drawn: whether the splits were drawn, for the file gives none.
        sets: name of a further set of images that was joined, see `joined` -> where it was read.
    """

    path: Path
    label: LabelSpec | None
    images: pd.DataFrame
    tiles: pd.DataFrame | None
    feature_names: tuple[str, ...]
    digest: str
    dropped_tiles: frozenset[tuple[int, int, int]] = frozenset()
    pairs: pd.DataFrame | None = None
    passed_over: Mapping[str, int] = dataclasses.field(default_factory=dict)
    is_drawn: bool = False
    sets: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: train, val, test and holdout first, others as they appear."""
        found = [name for name in dict.fromkeys(self.images["split"]) if name]
        return tuple(sorted(found, key=lambda name: (*SPLIT_ORDER, name).index(name)))

    def split(self, name: str) -> pd.DataFrame:
        """Returns the images of one split.

        Raises:
            ManifestError: there is no such split.
        """
        if name not in self.splits:
            found = ", ".join(self.splits) or "none"
            problem = f"there is no split {name!r}; the splits are {found}"
            raise ManifestError(self.path, [problem + suggest(name, self.splits)])
        return self.images[self.images["split"] == name]

    def measured(self, name: str) -> pd.DataFrame:
        """Returns the images of one split whose labels have one scale.

        Those are all of them, but where several sets train together: of `train` the first set's.

        Raises:
            ManifestError: there is no such split.
        """
        images = self.split(name)
        return images[images["set_id"] == images["set_id"].min()] if self.sets else images


def read_manifest(
    path: str | Path,
    label: LabelSpec | None,
    *,
    features: Sequence[str] = (),
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    seed: int = 0,
) -> Manifest:
    """Reads a manifest and refuses it, with every problem at once, if a row makes no sense.

    Args:
        path: a `.parquet` file, text in UTF-8 separated by comma, semicolon or tab, or the folder
            of a data set that --mode=prepare has written; or a folder of images, where no label
            column is needed.
        label: what the labels mean; None to read a table for prediction, whose labels are not
            looked at and whose split, unless written, is empty.
        features: numeric columns to keep.
        fractions: name of a split -> its share of the rows, used if there is no `split` column.
        seed: seed of that draw.

    Raises:
        ManifestError: the file, its columns or its rows are not as described.
    """
    path, listed, passed_over = Path(path).absolute(), None, Counter()
    if path.is_dir() and not is_prepared(path) and label and not label.columns:
        listed = _list_folder(path, passed_over)
        names = [name_text(os.path.relpath(image, path)) for image in listed]
        table = pd.DataFrame({"path": names}, index=range(1, len(names) + 1), dtype=str)
    else:
        table = read_table(path)
    _check_columns(path, table, label, features)
    is_tiled = set(TILE_COLUMNS) <= set(table.columns)

    problems: list[tuple[int, str]] = []
    rows = pd.DataFrame(index=table.index)
    rows["name"] = table["image"] if is_tiled else table["path"]
    # As objects: Arrow's strings hold no name that is not UTF-8.
    paths = _locate_files(path, table) if listed is None else listed
    rows["path"] = pd.Series(paths, index=table.index, dtype=object)
    rows["label"] = read_labels(table, label, problems)
    rows["label_text"] = table[label.column] if label and label.columns else ""
    group = table.get("group", pd.Series("", index=table.index))
    rows["group"] = group.where(group != "", rows["name"])
    rows["split"] = table.get("split", "")
    rows["file_row"] = table.index
    for name in features:
        rows[name] = read_numbers(table[name], f"feature {name!r}", problems).astype(np.float32)

    required = ["path", *(["split"] if "split" in table else [])]
    for name in [*required, *(["image"] if is_tiled else [])]:
        problems += [(row, f"the {name} is empty") for row in table.index[table[name] == ""]]
    given = rows.loc[table["path"] != "", "path"].map(name_text)
    problems += find_repeats(given.to_frame(), "names the same file as")

    if is_tiled:
        rows["tile_name"] = table["path"]
        for name in ("row", "column"):
            rows[name] = read_grid_places(table[name], name, problems)
        problems += _find_tile_conflicts(rows, features)
    if problems:
        raise ManifestError(path, [f"row {row}: {text}" for row, text in sorted(problems)])

    images, tiles = _group_tiles(rows) if is_tiled else (rows, None)
    images = images.reset_index(drop=True).rename_axis("image_id")
    if is_drawn := bool(label) and "split" not in table:
        try:
            images["split"] = assign_splits(
                images["label"].to_numpy(), images["group"].to_numpy(), fractions, seed
            )
        except ValueError as error:
            raise ManifestError(path, [str(error)]) from error
    digest = digest_of(label, images, tiles)
    return Manifest(
        *(path, label, images, tiles, tuple(features), digest),
        passed_over=passed_over,
        is_drawn=is_drawn,
    )


def read_split_rows(path: str | Path) -> dict[str, str]:
    """Reads which split each image is in: a CSV or Parquet file with `name` and `split`.

    Raises:
        ManifestError: it has other columns, or names an image twice.
    """
    path = Path(path).absolute()
    table = read_table(path)
    missing = [name for name in ("name", "split") if name not in table]
    if missing:
        raise ManifestError(path, [f"there is no column {name!r}" for name in missing])
    problems = find_repeats(table[["name"]], "names the same image as")
    problems += [(row, "the split is empty") for row in table.index[table["split"] == ""]]
    if problems:
        raise ManifestError(path, [f"row {row}: {text}" for row, text in sorted(problems)])
    return dict(zip(table["name"], table["split"], strict=True))


def with_splits(manifest: Manifest, splits: Mapping[str, str]) -> Manifest:
    """Puts the images of a manifest into other splits.

    Args:
        manifest: whose own splits are dropped.
        splits: name of each image -> its split.

    Raises:
        ManifestError: an image has no split.
    """
    images = manifest.images.assign(split=manifest.images["name"].map(splits))
    lost = images[images["split"].isna()]
    if len(lost):
        raise ManifestError(
            manifest.path, [f"{name_rows(lost['file_row'])}: the list of splits lacks them"]
        )
    digest = digest_of(manifest.label, images, manifest.tiles, manifest.pairs)
    return dataclasses.replace(manifest, images=images, digest=digest, is_drawn=False)


def _list_folder(path: Path, passed_over: Counter[str]) -> list[str]:
    """Lists the images of a folder that stands for a manifest."""
    try:
        return [os.path.normpath(image) for image in list_images(path, passed_over)]
    except ImageError as error:
        raise ManifestError(path, [str(error)]) from error


def _locate_files(path: Path, table: pd.DataFrame) -> list[str]:
    """Names the file of each row, or the record of a prepared data set that holds it."""
    if is_prepared(path):
        return record_paths(path, table)
    # normpath keeps symbolic links as written: what is behind them is the audit's business.
    return [os.path.normpath(path.parent / text) for text in table["path"]]


def _check_columns(
    path: Path, table: pd.DataFrame, label: LabelSpec | None, features: Sequence[str]
) -> None:
    found = [name for name in table.columns if name]
    needed = {"path": "path column"}
    needed |= dict.fromkeys(label.columns if label else (), "label column")
    problems = [
        f"there is no {what} {name!r}; the columns are {', '.join(found)}{suggest(name, found)}"
        for name, what in {**needed, **dict.fromkeys(features, "feature column")}.items()
        if name not in found
    ]
    label_names = {"label", *([label.column] if label else [])}
    for name in features:
        if name in RESERVED_COLUMNS or name in label_names:
            problems.append(f"column {name!r} cannot be a feature: it has another meaning")
    if len(set(features)) < len(features):
        problems.append(f"a feature is asked for twice: {', '.join(features)}")

    # A misspelt `group` would switch off the protection against leaks without a word.
    for name in ("group", "split"):
        lookalikes = [
            other for other in found if other not in needed and other.lower() in (name, name + "s")
        ]
        if name not in found and lookalikes:
            problems.append(f"column {lookalikes[0]!r} is not read; rename it to {name!r}")
    of_tiles = [name for name in TILE_COLUMNS if name in found]
    if of_tiles and len(of_tiles) < len(TILE_COLUMNS):
        missing = [name for name in TILE_COLUMNS if name not in found]
        problems.append(
            f"the columns image, row, column describe tiles already cut and belong together: "
            f"add {', '.join(missing)}, or rename {', '.join(of_tiles)}"
        )
    if problems:
        raise ManifestError(path, problems)


def _find_tile_conflicts(rows: pd.DataFrame, features: Sequence[str]) -> list[tuple[int, str]]:
    """Finds images whose tiles disagree about the image, or share a place."""
    problems = []
    for name in ("label_text", "group", "split", *features):
        differing = rows.groupby("name")[name].nunique()
        for image in differing.index[differing > 1]:
            own = rows[rows["name"] == image]
            values = ", ".join(str(value) for value in own[name].unique()[:ROWS_SHOWN])
            what = "label" if name == "label_text" else name
            problems.append(
                (
                    int(own.index[0]),
                    f"the tiles of image {image!r} differ in their {what}: {values}",
                )
            )
    placed = rows[(rows["row"] >= 0) & (rows["column"] >= 0)]
    return problems + find_repeats(
        placed[["name", "row", "column"]], "is the same tile (image, row, column) as"
    )


def _group_tiles(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits rows of tiles into the table of images and the table of tiles."""
    image_id, _ = pd.factorize(rows["name"])
    images = rows.drop_duplicates("name").drop(columns=["tile_name", "row", "column"])
    tiles = pd.DataFrame(
        {
            "image_id": image_id.astype(np.int32),
            "name": rows["tile_name"],
            "path": rows["path"],
            "row": rows["row"],
            "column": rows["column"],
            "file_row": rows["file_row"],
        }
    )
    order = ["image_id", "row", "column"]
    return images.assign(path=""), tiles.sort_values(order).reset_index(drop=True)


def digest_of(
    label: LabelSpec | None,
    images: pd.DataFrame,
    tiles: pd.DataFrame | None,
    pairs: pd.DataFrame | None = None,
) -> str:
    """Hashes the parts of a manifest, whatever folder it is in."""
    content = {
        "label": dataclasses.asdict(label) if label else None,
        "images": images.drop(columns=["path", "file_row"]).to_dict("list"),
        "tiles": None
        if tiles is None
        else tiles.drop(columns=["path", "file_row"]).to_dict("list"),
    }
    if pairs is not None:
        content["pairs"] = pairs.to_dict("list")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
