"""Joins the groups of a manifest where more of its images must stay together than it says."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from input_pipeline.tables.manifest import Manifest, digest_of
from input_pipeline.tables.splits import assign_splits
from input_pipeline.tables.table_files import ManifestError


def join_groups(
    manifest: Manifest,
    clusters: Int[np.ndarray, " image"],
    *,
    fractions: Mapping[str, float],
    seed: int,
) -> Manifest:
    """Makes one group of all groups that share a cluster; drawn splits are drawn anew.

    Splits that the manifest itself gives stay, so that a group may be in several.

    Args:
        manifest: whose groups hang together further than it says.
        clusters: [image] images with the same number belong together.
        fractions, seed: of the draw, as in `read_manifest`.

    Raises:
        ManifestError: there are fewer groups left than splits.
    """
    images = manifest.images
    groups = pd.Series(_join(images["group"], clusters), index=images.index)
    if groups.equals(images["group"]):
        return manifest
    images = images.assign(group=groups)
    if manifest.is_drawn:
        try:
            images["split"] = assign_splits(
                images["label"].to_numpy(), groups.to_numpy(), fractions, seed
            )
        except ValueError as error:
            raise ManifestError(manifest.path, [str(error)]) from error
    digest = digest_of(manifest.label, images, manifest.tiles, manifest.pairs)
    return dataclasses.replace(manifest, images=images, digest=digest)


def _join(groups: pd.Series, clusters: Int[np.ndarray, " image"]) -> np.ndarray:
    """Names the group of each image: its own, or where several hang together after the first."""
    number, names = pd.factorize(groups)
    cluster, found = pd.factorize(clusters)
    count = len(names) + len(found)
    edges = (np.ones(len(number), bool), (number, len(names) + cluster))
    _, component = connected_components(coo_array(edges, shape=(count, count)), directed=False)
    component = component[: len(names)]
    _, first, inverse, sizes = np.unique(
        component, return_index=True, return_inverse=True, return_counts=True
    )
    # Not by an image's own name, which would say that the image has no group.
    joined = [
        f"look-alikes of {names[one]}" if size > 1 else names[one]
        for one, size in zip(first, sizes, strict=True)
    ]
    return np.array(joined, object)[inverse[number]]
