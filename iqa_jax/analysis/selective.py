"""What answering only the images one is sure of would gain."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Real


@dataclasses.dataclass(frozen=True)
class RiskCoverage:
    """Risk against coverage.

    Attributes:
        coverage: k/n, the share of images answered, the surest first.
        risk: mean loss of those k.
        aurc: the area under the curve: the mean risk over all n coverages. Lower is better.
        best_aurc: the same for an uncertainty that orders images by their loss.
        full_risk: at coverage 1; what `aurc` tends to if the uncertainty says nothing.
    """

    coverage: Float[np.ndarray, " n"]
    risk: Float[np.ndarray, " n"]
    aurc: float
    best_aurc: float
    full_risk: float

    def risk_at(self, coverage: float) -> float:
        """Gives the risk of the smallest set of images that reaches a coverage in (0, 1]."""
        return float(self.risk[np.searchsorted(self.coverage, coverage - 1e-12)])


def risk_coverage(
    uncertainty: Real[np.ndarray, " n"], loss: Real[np.ndarray, " n"] | Bool[np.ndarray, " n"]
) -> RiskCoverage:
    """Draws the curve of the risk of the images that one is surest of.

    Equally uncertain images share their mean loss: the curve expected if they come in any order.

    Args:
        uncertainty: of each image, higher is less sure; only its order matters.
        loss: of each image, such as 0 for right and 1 for wrong, or an absolute error.

    Raises:
        ValueError: there are no images, a value is not finite, or lengths differ.

    Source:
        Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks"; Geifman,
        Uziel and El-Yaniv 2019, "Bias-Reduced Uncertainty Estimation", for AURC.
    """
    uncertainty, loss = np.asarray(uncertainty, np.float64), np.asarray(loss, np.float64)
    if uncertainty.shape != loss.shape or loss.ndim != 1 or not len(loss):
        raise ValueError(f"{uncertainty.shape} uncertainties do not go with {loss.shape} losses.")
    if not (np.isfinite(uncertainty).all() and np.isfinite(loss).all()):
        raise ValueError("An uncertainty or a loss is not finite.")
    risk, best = _risks(uncertainty, loss), _risks(loss, loss)
    return RiskCoverage(
        np.arange(1, len(loss) + 1) / len(loss),
        risk,
        float(risk.mean()),
        float(best.mean()),
        float(loss.mean()),
    )


def _risks(uncertainty: np.ndarray, loss: np.ndarray) -> np.ndarray:
    _, block, counts = np.unique(uncertainty, return_inverse=True, return_counts=True)
    shared = np.bincount(block, weights=loss) / counts
    return np.cumsum(np.repeat(shared, counts)) / np.arange(1, len(loss) + 1)
