"""What embeddings know of the labels: a linear probe, and the nearest neighbours' labels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from input_pipeline.extras import extra

NEIGHBOURS = 10
_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """A multinomial logistic regression on embeddings, and the embeddings it was fitted on.

    Attributes:
        kernel, bias: the logits of an embedding are `embedding @ kernel + bias`.
        embeddings, labels: of the images it was fitted on; labels are class indices.
    """

    kernel: Float[np.ndarray, "dim classes"]
    bias: Float[np.ndarray, " classes"]
    embeddings: Float[np.ndarray, "image dim"]
    labels: Int[np.ndarray, " image"]

    def nearest_labels(self, embeddings: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n k"]:
        """Gives each class its share of the ten nearest fitted images (or of all).

        Nearest by Euclidean distance, which orders embeddings of length 1 as the cosine does.
        """
        with extra("train"):
            from sklearn.neighbors import KNeighborsClassifier
        neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(self.labels)))
        return neighbours.fit(self.embeddings, self.labels).predict_proba(embeddings)


def fit_probe(
    embeddings: Float[np.ndarray, "image dim"],
    labels: Int[np.ndarray, " image"],
    classes: int,
    *,
    is_balanced: bool,
) -> Probe:
    """Fits the probe, with scikit-learn's L2 penalty of strength 1.

    Args:
        embeddings: of length 1.
        labels: class indices.
        classes: how many there are.
        is_balanced: every class weighs the same, however many images it has.

    Raises:
        ValueError: a class has no image.
    """
    with extra("train"):
        from sklearn.linear_model import LogisticRegression
    lost = sorted(set(range(classes)) - set(labels.tolist()))
    if lost:
        raise ValueError(f"A probe needs images of every class; class {lost[0]} has none.")
    regression = LogisticRegression(
        class_weight="balanced" if is_balanced else None, max_iter=_ITERATIONS
    ).fit(embeddings, labels)
    kernel, bias = regression.coef_, regression.intercept_
    if classes == 2:
        # scikit-learn gives the logit of the second class alone.
        kernel, bias = np.concatenate([0 * kernel, kernel]), np.concatenate([0 * bias, bias])
    return Probe(kernel.T, bias, np.asarray(embeddings), np.asarray(labels))
