"""What training images say of an image by how near they are: kernel ridge regression."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from input_pipeline.extras import extra

# At the mean squared distance between images the kernel is exp(-nearness). Both numbers were chosen
# on validation splits of opinion scores, where the ranking of the answers hardly hangs on either.
_NEARNESS = 0.4
_RIDGE = 0.01


@dataclass(frozen=True)
class KernelRidge:
    """A Gaussian kernel's answer: `exp(-gamma · |embedding - support|²) @ dual + offset`.

    Attributes:
        support: the embeddings of the images it was fitted on.
        dual: what each of them adds to the outputs where an embedding is its own.
        offset: the outputs far from all of them.
        gamma: how fast an image's say falls with the squared distance.
    """

    support: Float32[np.ndarray, "image dim"]
    dual: Float32[np.ndarray, "image outputs"]
    offset: Float32[np.ndarray, " outputs"]
    gamma: Float32[np.ndarray, ""]


def fit_kernel_ridge(
    embeddings: Float[np.ndarray, "image dim"], outputs: Float[np.ndarray, "image outputs"]
) -> KernelRidge:
    """Fits a kernel ridge regression whose kernel is as wide as the images lie apart.

    Args:
        embeddings: of images.
        outputs: what is to be answered.

    Raises:
        ValueError: there are not two images, or all embeddings are alike.
    """
    with extra("train"):
        from sklearn.kernel_ridge import KernelRidge as Regression
    embeddings, outputs = np.asarray(embeddings, np.float64), np.asarray(outputs, np.float64)
    # Twice the sum of variances is the mean squared distance.
    apart = 2 * embeddings.var(axis=0).sum() if len(embeddings) else 0.0
    if apart == 0:
        raise ValueError("A kernel ridge regression needs images that differ.")
    gamma, offset = _NEARNESS / apart, outputs.mean(axis=0)
    regression = Regression(alpha=_RIDGE, kernel="rbf", gamma=gamma)
    dual = regression.fit(embeddings, outputs - offset).dual_coef_
    arrays = (embeddings, dual, offset, np.array(gamma))
    return KernelRidge(*(array.astype(np.float32) for array in arrays))
