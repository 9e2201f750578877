"""How far tiles are from good ones, by their embeddings: no bad tile is needed to fit it.

A detector divides each dimension by its spread among the good tiles, so that none rules by its
unit, and measures a distance: from the Gaussian around the good tiles, or from the nearest of them
that it remembers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from iqa_jax.analysis.ood import Gaussian, Memory, fit_gaussian, to_units

# What a dimension is divided by at least, as a share of what others are.
_LEAST_SCALE = 1e-3


class _Kind(NamedTuple):
    fit: Callable[[np.ndarray, int, np.random.Generator], Any]
    made: type
    distance: Callable[[Any, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Detector:
    """Tells how unlike good tiles a tile is.

    Attributes:
        kind: a key of `DETECTORS`.
        scale: what each dimension is divided by.
        known: what is known of the good tiles.
    """

    kind: str
    scale: Float[np.ndarray, " dim"]
    known: Gaussian | Memory

    def __call__(self, embeddings: Float[np.ndarray, "tile dim"]) -> Float[np.ndarray, " tile"]:
        """Gives each tile's distance, 0 or more."""
        if not len(embeddings):
            return np.zeros(0)
        return DETECTORS[self.kind].distance(self.known, np.asarray(embeddings) / self.scale)


def greedy_coreset(
    points: Float[np.ndarray, "n dim"], size: int, rng: np.random.Generator
) -> Int[np.ndarray, " size"]:
    """Chooses points such that no other is far from all of them.

    Each choice is the point farthest from those chosen before, the first is drawn. The largest
    distance that remains is at most twice that of the best choice of so many points.

    Args:
        points: to choose from.
        size: how many, at most; equal points are not chosen twice.
        rng: of the first choice.

    Returns:
        Their indices, in the order of choice.

    Source:
        Gonzalez 1985; as a memory of good tiles, Roth et al. 2022 (PatchCore), algorithm 1, without
        their random projection.
    """
    chosen = [int(rng.integers(len(points)))]
    lengths = (points**2).sum(axis=1)
    distance = np.full(len(points), np.inf)
    while True:
        last = chosen[-1]
        squared = lengths + lengths[last] - 2 * (points @ points[last])
        np.minimum(distance, squared, out=distance)
        distance[last] = 0
        farthest = int(distance.argmax())
        # What is left is rounding: those points are there already.
        if len(chosen) == min(size, len(points)) or distance[farthest] <= 1e-12 * lengths.max():
            return np.array(chosen)
        chosen.append(farthest)


def _remember_any(embeddings: np.ndarray, size: int, rng: np.random.Generator) -> Memory:
    chosen = rng.choice(len(embeddings), min(size, len(embeddings)), replace=False)
    return Memory(to_units(embeddings[chosen]))


def _remember_all_kinds(embeddings: np.ndarray, size: int, rng: np.random.Generator) -> Memory:
    units = to_units(embeddings)
    return Memory(units[greedy_coreset(units, size, rng)])


# Name -> how it is fitted on the tiles and a bounded memory, and its distance. A coreset is sparse:
# the tenth nearest of it is of another kind of tile.
DETECTORS = {
    "mahalanobis": _Kind(
        lambda embeddings, size, rng: fit_gaussian(embeddings), Gaussian, Gaussian.mahalanobis
    ),
    "knn": _Kind(_remember_any, Memory, Memory.nearest),
    "coreset": _Kind(_remember_all_kinds, Memory, partial(Memory.nearest, neighbours=1)),
}


def fit_detector(
    kind: str, embeddings: Float[np.ndarray, "tile dim"], *, memory: int, seed: int
) -> Detector:
    """Fits a detector.

    Args:
        kind: a key of `DETECTORS`.
        embeddings: of good tiles.
        memory: so many of them are remembered, at most; a Gaussian remembers none.
        seed: of what is drawn.

    Raises:
        ValueError: there are fewer than two different ones.
    """
    embeddings = np.asarray(embeddings, np.float64)
    if len(embeddings) < 2 or np.ptp(embeddings, axis=0).max() == 0:
        raise ValueError("A detector needs at least two good tiles that differ.")
    scale = embeddings.std(axis=0)
    # A dimension that hardly ever varies says little of its unit, and must not rule the distance.
    is_varying = scale > 1e-6 * scale.max()
    scale = np.maximum(scale, _LEAST_SCALE * np.median(scale[is_varying]))
    rng = np.random.default_rng(seed)
    return Detector(kind, scale, DETECTORS[kind].fit(embeddings / scale, memory, rng))
