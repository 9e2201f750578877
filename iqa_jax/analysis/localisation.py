"""Whether a map points at the part of an image that is bad, where that part is known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata


def pixel_auc(
    relevance: Float[np.ndarray, "rows columns"], region: Bool[np.ndarray, "rows columns"]
) -> float | None:
    """Gives the probability that a pixel of the region is more relevant than one outside it.

    Args:
        relevance: higher means more relevant; NaN, where the scorer never looked, ranks last.
        region: True where the image is bad.

    Returns:
        The area under the ROC curve, ties counting half: 1 is perfect, 0.5 is chance. None if the
        region is nothing or everything.
    """
    inside = int(region.sum())
    outside = region.size - inside
    if not inside or not outside:
        return None
    ranks = rankdata(_with_unseen_last(relevance)).reshape(region.shape)
    return float((ranks[region].sum() - inside * (inside + 1) / 2) / (inside * outside))


def pointing_game(
    relevance: Float[np.ndarray, "rows columns"], region: Bool[np.ndarray, "rows columns"]
) -> float | None:
    """Says whether the most relevant pixel is in the region.

    Args:
        relevance, region: as in `pixel_auc`.

    Returns:
        1 or 0; where several pixels tie, their share in the region, which is what drawing one of
        them would give on average. The chance level is the region's share of the image. None if
        the region is nothing.

    Source:
        Zhang et al. 2016, Top-down neural attention by excitation backprop, without their tolerance
        of 15 pixels.
    """
    if not region.any():
        return None
    relevance = _with_unseen_last(relevance)
    return float(region[relevance == relevance.max()].mean())


def summarise_localisation(
    maps: Sequence[Mapping[str, Float[np.ndarray, "_ _"]]],
    regions: Sequence[Bool[np.ndarray, "_ _"]],
) -> dict[str, Any] | None:
    """Averages both figures over images.

    Args:
        maps: of each image, name of a map -> its relevance.
        regions: of each image; those that are nothing or everything are left out.

    Returns:
        `images`; `region_share`, the mean share of an image that is bad, which is the chance level
        of the pointing game; `maps`: name -> `pixel_auc` and `pointing_game`. None where there is
        no image to look at.
    """
    kept = [
        (of_image, region)
        for of_image, region in zip(maps, regions, strict=True)
        if region.any() and not region.all()
    ]
    if not kept:
        return None

    def mean(figure: Callable[..., float | None], name: str) -> float:
        values = [figure(one[name], region) for one, region in kept]
        return float(np.mean([value for value in values if value is not None]))

    return {
        "images": len(kept),
        "region_share": float(np.mean([region.mean() for _, region in kept])),
        "maps": {
            name: {figure.__name__: mean(figure, name) for figure in (pixel_auc, pointing_game)}
            for name in kept[0][0]
        },
    }


def _with_unseen_last(relevance: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(relevance), -np.inf, relevance)
