"""What is wrong with the splits of a manifest: classes they lack, groups that straddle them."""

from collections.abc import Sequence

import pandas as pd

from input_pipeline.tables.cells import name_rows
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import suggest


def check_split_contents(manifest: Manifest, needed: Sequence[str] = ("train", "val")) -> list[str]:
    """Lists what is missing in the splits that training cannot do without.

    Args:
        manifest: a labelled manifest.
        needed: splits that must exist and hold every class (numeric: two different values).

    Returns:
        One sentence per problem; empty if all is well.
    """
    problems = []
    for split in needed:
        if split not in manifest.splits:
            found = ", ".join(manifest.splits) or "none"
            problems.append(
                f"split {split!r} has no images; the splits are {found}"
                f"{suggest(split, manifest.splits)}"
            )
            continue
        problems += find_missing_classes(manifest, split)
    return problems


def find_missing_classes(manifest: Manifest, split: str) -> list[str]:
    """Lists the classes that one split of a labelled manifest lacks, one sentence each."""
    assert manifest.label is not None
    labels = manifest.split(split)["label"]
    if manifest.label.is_numeric:
        if labels.nunique() < 2:
            return [f"split {split!r} has only one label value: nothing can be compared in it"]
        return []
    present = set(labels)
    return [
        f"split {split!r} has no image of class {name!r}"
        for index, name in enumerate(manifest.label.classes)
        if index not in present
    ]


def find_straddling_groups(manifest: Manifest) -> list[str]:
    """Lists the groups that are in more than one split, one sentence each, with their rows."""
    images = manifest.images
    counts = images.groupby("group")["split"].nunique()
    straddling = images[images["group"].isin(counts.index[counts > 1])]
    return [
        f"group {group!r} is in more than one split: {name_places(rows)}"
        for group, rows in straddling.groupby("group", sort=False)
    ]


def name_places(rows: pd.DataFrame) -> str:
    """Names the rows of images or files by split: `rows 2, 3 in 'train' and row 9 in 'test'`."""
    return " and ".join(
        name_rows(part["file_row"]) + (f" in {split!r}" if split else "")
        for split, part in rows.groupby("split", sort=False)
    )
