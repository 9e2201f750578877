"""The two thresholds between which a binary run answers `data.marginal`: thresholds.json."""

import numpy as np
from jaxtyping import Float, Int

from iqa_jax.analysis.late_fusion import fit_thresholds
from iqa_jax.run.workdir import Workdir

FILE = "thresholds.json"


def fit_three_classes(
    scores: Float[np.ndarray, " image"], grades: Int[np.ndarray, " image"]
) -> tuple[float, float] | None:
    """Fits the thresholds of the three-class answer; None where no image is marginal.

    Args:
        scores: of images that trained nothing, calibrated: on the scale of the answers to be cut.
        grades: 0 bad, 1 marginal, 2 good.
    """
    return fit_thresholds(scores, grades) if (grades == 1).any() else None


def write_thresholds(workdir: Workdir, step: int, found: tuple[float, float]) -> None:
    """Keeps the thresholds of a step in the workdir."""
    low, high = found
    workdir.write_fitted(FILE, step, {"low": low, "high": high})


def read_thresholds(workdir: Workdir, step: int) -> tuple[float, float] | None:
    """Reads the thresholds of a step; None if none were fitted for it."""
    found = workdir.fitted(FILE, step)
    return (found["low"], found["high"]) if found else None
