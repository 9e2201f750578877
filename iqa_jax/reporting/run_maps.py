"""What a report needs beside the evaluation: where images are in a plane, and their heat-maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.projection import FEWEST, neighbourhood_purity, project
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.reporting.pages.overlays import blend_grad_cam
from iqa_jax.reporting.pages.pictures import thumbnail
from iqa_jax.reporting.pages.point_map import MOST_DOTS
from iqa_jax.reporting.pages.report import Table
from iqa_jax.reporting.run_images import Overlays, Plane
from iqa_jax.scoring.explainer import Explainer

_NEIGHBOURS = 10


def make_planes(evaluations: Mapping[str, Evaluation], seed: int) -> list[Plane]:
    """Projects the embeddings of all images that were answered, by t-SNE and by PCA.

    Args:
        evaluations: by split.
        seed: of t-SNE.

    Returns:
        Two planes; none where there are too few images, or more than a page can show.
    """
    embeddings = {
        split: np.array([answer.embedding for answer in found.answers if not answer.error])
        for split, found in evaluations.items()
        if found.is_answered.any()
    }
    if not FEWEST <= sum(map(len, embeddings.values())) <= MOST_DOTS:
        return []
    everything = np.concatenate([*embeddings.values()])
    if everything.shape[1] < 2:
        return []
    found = project(everything, seed)
    ends = np.cumsum([len(part) for part in embeddings.values()])[:-1]

    def by_split(points: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(embeddings, np.split(points, ends), strict=True))

    images = pd.concat([evaluations[split].images[evaluations[split].is_answered]
                        for split in embeddings])  # fmt: skip
    has_classes = next(iter(evaluations.values())).kind.has_classes
    return [
        Plane(
            "Images by their embedding, t-SNE",
            "Near neighbours are alike to the scorer; distances across the map say little.",
            by_split(found.tsne),
            _purity(everything, images, embeddings, has_classes),
        ),
        Plane(
            "Images by their embedding, PCA",
            f"The two directions of the largest variance, {100 * found.pca_share:.0f} % of it.",
            by_split(found.pca),
        ),
    ]


def _purity(
    embeddings: np.ndarray,
    images: pd.DataFrame,
    by_split: Mapping[str, np.ndarray],
    has_classes: bool,
) -> Table:
    labels = {"group": images["group"].to_numpy()}
    if has_classes:
        labels = {"class": images["label_text"].to_numpy(), **labels}
    labels["split"] = np.repeat([*by_split], [len(part) for part in by_split.values()])
    rows = [
        [name, *neighbourhood_purity(embeddings, values, _NEIGHBOURS)]
        for name, values in labels.items()
    ]
    return Table(
        "Purity of neighbourhoods",
        ["Same", "Share of neighbours", "By chance"],
        rows,
        f"Of the {_NEIGHBOURS} nearest neighbours of an image, in all dimensions of the embedding.",
    )


def grad_cam_overlays(
    explainer: Explainer,
    variables: Any,
    source: TileSource,
    features: FeatureTable,
    images: pd.DataFrame,
) -> Overlays:
    """Makes the function that lays an image's Grad-CAM over it.

    Args:
        explainer, variables, features: of the run.
        source, images: of the manifest that is reported on.
    """

    def overlay(image_id: int) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
        bags = whole_bags(source, [image_id], features, images, threads=1)
        (explained,) = explainer.explain(variables, bags)
        if explained.maps is None:
            return {}
        try:
            photo = thumbnail(source.image(image_id))
        except ImageError:  # It was there a moment ago.
            return {}
        return {f"Grad-CAM: {explained.explains}": blend_grad_cam(photo, explained.maps.grad_cam)}

    return overlay
