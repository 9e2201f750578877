"""Reads the table of pairs of images that people have compared.

CSV or Parquet, one row per comparison, the same pair as often as it was asked. Columns:

* `path_a`, `path_b` (required): absolute, or relative to the table's own folder;
* `preference` (required): `a` or 1, `b` or 0, `tie` or 0.5;
* `group`: rows whose images must stay together;
* `split`: of both images.

Images that are compared, by one another or through others, are one group: no image is in two
splits, and no pair is between two.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from input_pipeline.files.file_names import name_text
from input_pipeline.tables.cells import name_rows
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import Manifest, digest_of
from input_pipeline.tables.splits import assign_splits
from input_pipeline.tables.table_files import ManifestError, read_table, suggest

COLUMNS = ("path_a", "path_b", "preference")
PREFERENCES = {
    **dict.fromkeys(("a", "1", "1.0"), 1.0),
    **dict.fromkeys(("b", "0", "0.0"), 0.0),
    **dict.fromkeys(("tie", "0.5"), 0.5),
}


def read_pairs(path: str | Path, *, fractions: Mapping[str, float], seed: int) -> Manifest:
    """Reads a table of compared pairs and refuses it, with every problem at once.

    Args:
        path: of the table.
        fractions: name of a split -> its share of the images, used if there is no `split` column.
        seed: of that draw.

    Returns:
        The manifest of the images, each once, with its pairs.

    Raises:
        ManifestError: the file, its columns or its rows are not as described.
    """
    path = Path(path).absolute()
    table = read_table(path)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        found = ", ".join(table.columns)
        raise ManifestError(
            path,
            [
                f"there is no column {name!r}; the columns are {found}{suggest(name, table)}"
                for name in missing
            ],
        )
    problems = [
        (row, f"the {name} is empty")
        for name in (*COLUMNS, *(["split"] if "split" in table else []))
        for row in table.index[table[name] == ""]
    ]
    preference = table["preference"].str.lower().map(PREFERENCES)
    problems += [
        (row, f"the preference must be a, b or tie (or 1, 0, 0.5), not {cell!r}")
        for row, cell in table["preference"][preference.isna()].items()
        if cell
    ]
    folder = Path(name_text(path.parent))
    sides = [table[name].map(lambda text: os.path.normpath(folder / text)) for name in COLUMNS[:2]]
    problems += [
        (row, "an image is compared with itself") for row in table.index[sides[0] == sides[1]]
    ]
    if problems:
        raise ManifestError(path, [f"row {row}: {text}" for row, text in sorted(problems)])

    long = pd.concat(
        pd.DataFrame(
            {
                "name": table[name],
                "path": side,
                "given": table.get("group", ""),
                "split": table.get("split", ""),
                "file_row": table.index,
            }
        )
        for name, side in zip(COLUMNS[:2], sides, strict=True)
    )
    image_id, paths = pd.factorize(pd.concat(sides))
    images = long.drop_duplicates("path").drop(columns="given").reset_index(drop=True)
    first, second = np.split(image_id.astype(np.int64), 2)
    images["group"] = _groups(first, second, table.get("group"), images["name"])
    places = [os.path.normpath(path.parent / name) for name in images["name"]]
    images["path"] = pd.Series(places, dtype=object)  # As in `read_manifest`.
    images = images.assign(label=np.int32(-1), label_text="")[
        ["name", "path", "label", "label_text", "group", "split", "file_row"]
    ].rename_axis("image_id")
    if "split" in table:
        counts, long = long.groupby("path")["split"].nunique(), long.sort_values("file_row")
        straddling = [
            f"{name_rows(rows['file_row'])}: {rows['name'].iat[0]} is in the splits "
            f"{' and '.join(dict.fromkeys(rows['split']))}"
            for _, rows in long[long["path"].isin(counts.index[counts > 1])].groupby("path")
        ]
        if straddling:
            raise ManifestError(path, straddling)
    else:
        try:
            images["split"] = assign_splits(
                images["label"].to_numpy(), images["group"].to_numpy(), fractions, seed
            )
        except ValueError as error:
            raise ManifestError(path, [str(error)]) from error
    pairs = pd.DataFrame(
        {
            "first": first,
            "second": second,
            "preference": preference.to_numpy(np.float64),
            "kind": "",
            "figure": "pair_accuracy",
        }
    )
    label = LabelSpec(kind="pairs")
    digest = digest_of(label, images, None, pairs)
    is_drawn = "split" not in table
    return Manifest(path, label, images, None, (), digest, pairs=pairs, is_drawn=is_drawn)


def _groups(
    first: np.ndarray, second: np.ndarray, given: pd.Series | None, names: pd.Series
) -> np.ndarray:
    """Names the group of each image: what hangs together by comparisons and given groups."""
    nodes, edges = len(names), [(first, second)]
    if given is not None:
        # A given group is a node of its own, joined to the images of its rows.
        is_given = (given != "").to_numpy()
        number, found = pd.factorize(given[is_given])
        edges += [(side[is_given], nodes + number) for side in (first, second)]
        nodes += len(found)
    rows, columns = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    component = component[: len(names)]
    # A group is called by the first of its images.
    return names.groupby(component).transform("first").to_numpy()
