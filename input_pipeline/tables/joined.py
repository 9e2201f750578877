"""Several tables of opinion scores as one manifest, on the scale of the first.

A score of one data set is not a score of another, even after both scales are stretched to the same
length: other pictures, other people, another question. So each image keeps the number of its set,
`set_id`, and training compares scores within a set alone.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import Manifest, digest_of
from input_pipeline.tables.table_files import ManifestError


def join_manifests(first: Manifest, others: Mapping[str, Manifest]) -> Manifest:
    """Joins the tables of several sets of images with opinion scores.

    Args:
        first: of the set whose scale scores are given on.
        others: name of a further set -> its table.

    Returns:
        A manifest like `first`, with a column `set_id` (int32, 0: of the first, then in the order
        of `others`). Images of a further set are called `set/name` and have groups of their own.
        Their labels are stretched from their declared scale to that of the first. They train too;
        their other splits are apart, as `set_val` and `set_test`.

    Raises:
        ManifestError: a table has tiles that were already cut, or a set is named as no split can
            be.
    """
    parts = [first.images.assign(set_id=np.int32(0))]
    for number, (name, manifest) in enumerate(others.items(), 1):
        if not name.isidentifier() or any(split.startswith(f"{name}_") for split in first.splits):
            raise ManifestError(
                manifest.path,
                [f"a set of images cannot be called {name!r}: give it a name of letters, digits "
                 f"and _ that no split of {first.path} begins with"],
            )  # fmt: skip
        images = manifest.images
        assert first.label is not None and manifest.label is not None
        parts.append(
            images.assign(
                name=f"{name}/" + images["name"],
                group=f"{name}/" + images["group"],
                split=images["split"].where(
                    images["split"] == "train", f"{name}_" + images["split"]
                ),
                label=_stretch(images["label"].to_numpy(), manifest.label, first.label),
                set_id=np.int32(number),
            )
        )
    for manifest in (first, *others.values()):
        if manifest.tiles is not None:
            raise ManifestError(
                manifest.path, ["its rows are tiles already cut, and only images can be joined"]
            )
    images = pd.concat(parts, ignore_index=True).rename_axis("image_id")
    digest = digest_of(first.label, images, None)
    sets = {name: manifest.path for name, manifest in others.items()}
    return dataclasses.replace(first, images=images, digest=digest, sets=sets)


def _stretch(labels: np.ndarray, own: LabelSpec, other: LabelSpec) -> np.ndarray:
    """Brings labels from their scale to another; both say that higher is better by now."""
    (low, high), (least, most) = own.scale, other.scale
    share = (labels.astype(np.float64) - low) / (high - low)
    return (least + share * (most - least)).astype(np.float32)
