"""Maps from scores to labels, by fusion, for the figures that allow one: logistic.json."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from iqa_jax.analysis.logistic import ScoreMap, fit_score_map
from iqa_jax.host.progress import say
from iqa_jax.run.workdir import Workdir

# Training rows that a score map is fitted on, at most: more would fix its few parameters no better.
MAP_ROWS = 2000
FILE = "logistic.json"


def fit_score_maps(
    scores: Mapping[str, Float[np.ndarray, " image"]],
    labels: Float[np.ndarray, " image"],
) -> dict[str, ScoreMap]:
    """Fits a map per fusion, and says where a simpler one had to do.

    Args:
        scores: fusion -> of training images, on the labels' scale, higher is better.
        labels: of these images.
    """
    maps = {}
    for fusion, found in scores.items():
        maps[fusion] = fit_score_map(found, labels)
        if maps[fusion].note:
            say(f"plcc_mapped and rmse_mapped of {fusion}: {maps[fusion].note}")
    return maps


def write_score_maps(workdir: Workdir, step: int, maps: Mapping[str, ScoreMap]) -> None:
    """Keeps the maps of a step in the workdir."""
    written = {fusion: dataclasses.asdict(found) for fusion, found in maps.items()}
    workdir.write_fitted(FILE, step, {"maps": written})


def read_score_maps(workdir: Workdir, step: int) -> dict[str, ScoreMap] | None:
    """Reads the maps of a step by fusion; None if none were fitted for it."""
    found = workdir.fitted(FILE, step)
    if found is None:
        return None
    return {
        fusion: ScoreMap(**{**about, "parameters": tuple(about["parameters"])})
        for fusion, about in found["maps"].items()
    }
