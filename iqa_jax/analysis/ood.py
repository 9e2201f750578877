"""How far an image is from what a run was trained on, by its embedding."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from input_pipeline.extras import extra

NEIGHBOURS = 10


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian around embeddings.

    The covariance is shrunk towards a multiple of the identity, because there are seldom more
    embeddings than dimensions: (1 − a) S + a · trace(S)/dim · I with Ledoit and Wolf's a. Only its
    first axes have a variance of their own; the others share `rest`.

    Attributes:
        mean: of the embeddings.
        axes: orthonormal directions in which the embeddings vary.
        variances: of the shrunk covariance along each of them.
        rest: of the shrunk covariance in every other direction.

    Source:
        Lee et al. 2018 (Mahalanobis distance, here with one mean: labels may be numbers); Ledoit,
        Wolf 2004.
    """

    mean: Float[np.ndarray, " dim"]
    axes: Float[np.ndarray, "axis dim"]
    variances: Float[np.ndarray, " axis"]
    rest: Float[np.ndarray, ""]

    def mahalanobis(self, embeddings: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Gives the distance from the mean in standard deviations."""
        centred = np.asarray(embeddings, np.float64) - self.mean
        along = centred @ self.axes.T
        beside = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return np.sqrt((along**2 / self.variances).sum(axis=1) + beside / self.rest)


@dataclass(frozen=True)
class Memory:
    """Embeddings that new ones are compared with.

    Attributes:
        units: the embeddings at length 1.

    Source:
        Sun et al. 2022 (nearest neighbours at length 1).
    """

    units: Float[np.ndarray, "row dim"]

    def nearest(
        self, embeddings: Float[np.ndarray, "n dim"], neighbours: int = NEIGHBOURS
    ) -> Float[np.ndarray, " n"]:
        """Gives the distance to the tenth nearest in memory, or another, at most the last."""
        cosine = to_units(embeddings) @ self.units.T
        rank = min(neighbours, cosine.shape[1])
        nearest = -np.partition(-cosine, rank - 1, axis=1)[:, rank - 1]
        return np.sqrt(np.maximum(2 - 2 * nearest, 0))


@dataclass(frozen=True)
class Domain(Memory, Gaussian):
    """What images a run was trained on: a Gaussian around their embeddings, and these."""


DISTANCES = {"nearest": Domain.nearest, "mahalanobis": Domain.mahalanobis}


def fit_domain(embeddings: Float[np.ndarray, "image dim"]) -> Domain:
    """Fits the domain of a run.

    Args:
        embeddings: of training images.

    Raises:
        ValueError: there are fewer than two different ones.
    """
    gaussian = fit_gaussian(embeddings)
    return Domain(**vars(gaussian), units=to_units(embeddings))


def fit_gaussian(embeddings: Float[np.ndarray, "row dim"]) -> Gaussian:
    """Fits the Gaussian around embeddings.

    Raises:
        ValueError: there are fewer than two different ones.
    """
    with extra("train"):
        from sklearn.covariance import ledoit_wolf_shrinkage
    embeddings = np.asarray(embeddings, np.float64)
    mean = embeddings.mean(axis=0) if len(embeddings) else np.zeros(embeddings.shape[1:])
    centred = embeddings - mean
    if not len(centred) or np.ptp(embeddings, axis=0).max() == 0:
        raise ValueError("A domain needs at least two training images that differ.")
    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    average = (centred**2).sum() / centred.size
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    # Centred rows are dependent: the last axis of fewer images than dimensions is rounding.
    is_real = lengths > lengths[0] * 1e-6
    variances = (1 - shrinkage) * lengths[is_real] ** 2 / len(centred) + shrinkage * average
    # Without shrinkage a direction never seen has no scale; the smallest seen stands in.
    rest = shrinkage * average if shrinkage > 0 else variances.min()
    return Gaussian(mean, axes[is_real], variances, np.asarray(rest, np.float64))


def to_units(embeddings: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    """Brings embeddings to length 1, in double precision; one of length 0 stays."""
    embeddings = np.asarray(embeddings, np.float64)
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(length > 0, length, 1)
