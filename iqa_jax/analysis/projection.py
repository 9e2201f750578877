"""Embeddings on a plane, and whether neighbours among them agree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from input_pipeline.extras import extra

FEWEST = 4
# Enough for what t-SNE looks at, which are the nearest neighbours only.
_TSNE_INPUTS = 50
_PERPLEXITY = 30.0
# Up to here the exact sums of t-SNE cost no more than their approximation.
_EXACT = 250


@dataclass(frozen=True)
class Projection:
    """Coordinates of each embedding; distances across a t-SNE plane mean little, near ones much.

    Attributes:
        tsne: after van der Maaten & Hinton 2008.
        pca: along the two directions of the largest variance.
        pca_share: the part of the variance that these two show, in [0, 1].
    """

    tsne: Float[np.ndarray, "n 2"]
    pca: Float[np.ndarray, "n 2"]
    pca_share: float


def project(embeddings: Float[np.ndarray, "n dim"], seed: int) -> Projection:
    """Projects embeddings in both ways.

    Args:
        embeddings: one per image, at least `FEWEST`, of at least two dimensions.
        seed: same seed, same machine: same coordinates.

    Raises:
        ValueError: there are too few.
    """
    with extra("train"):
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    embeddings = np.asarray(embeddings, np.float64)
    count, dim = embeddings.shape
    if count < FEWEST or dim < 2:
        raise ValueError(
            f"{count} embeddings of {dim} dimensions cannot be projected; it takes {FEWEST} of 2."
        )
    components = min(_TSNE_INPUTS, count, dim)
    # Embeddings that are all equal have no variance to have a share of.
    with np.errstate(invalid="ignore"):
        pca = PCA(components, svd_solver="full").fit(embeddings)
    coordinates = pca.transform(embeddings)
    # t-SNE's start divides by the spread.
    start = "pca" if coordinates[:, 0].std() > 0 else "random"
    tsne = TSNE(
        perplexity=min(_PERPLEXITY, (count - 1) / 3),
        init=start,
        method="exact" if count <= _EXACT else "barnes_hut",
        random_state=seed,
    )
    share = pca.explained_variance_ratio_[:2].sum()
    return Projection(
        tsne=np.asarray(tsne.fit_transform(coordinates), np.float64),
        pca=coordinates[:, :2],
        pca_share=float(np.nan_to_num(share)),
    )


def neighbourhood_purity(
    embeddings: Float[np.ndarray, "n dim"], labels: Shaped[np.ndarray, " n"], k: int = 10
) -> tuple[float | None, float | None]:
    """Measures how often the nearest neighbours of an image have its label, in all dimensions.

    Args:
        embeddings: one per image.
        labels: of any kind that can be equal.
        k: neighbours looked at, by Euclidean distance; fewer where there are fewer others.

    Returns:
        The mean share of neighbours with the own label, and its chance level: the mean over all
        ways to shuffle the labels. None for both where there are no two images.
    """
    with extra("train"):
        from sklearn.neighbors import NearestNeighbors
    labels = np.asarray(labels)
    count = len(labels)
    if count < 2:
        return None, None
    # Asked without points, it leaves each one out of its own neighbours, even among equal ones.
    nearest = NearestNeighbors(n_neighbors=min(k, count - 1)).fit(embeddings)
    neighbours = nearest.kneighbors(return_distance=False)
    purity = (labels[neighbours] == labels[:, None]).mean()
    sizes = np.unique(labels, return_counts=True)[1]
    chance = (sizes * (sizes - 1)).sum() / (count * (count - 1))
    return float(purity), float(chance)
