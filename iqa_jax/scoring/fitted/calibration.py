"""Maps from the network's probabilities to calibrated ones, by fusion: calibration.json."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from iqa_jax.analysis.calibration_map import CalibrationMap, fit_calibration_map
from iqa_jax.analysis.kinds import Kind
from iqa_jax.host.progress import say
from iqa_jax.run.workdir import Workdir

FILE = "calibration.json"


def fit_calibration(
    kind: Kind,
    values: Mapping[str, Float[np.ndarray, "image values"]],
    labels: Int[np.ndarray, " image"],
) -> dict[str, CalibrationMap]:
    """Fits a map per fusion, and says if there is nothing to fit one on.

    Args:
        kind: one with classes.
        values: fusion -> raw probabilities of images that trained nothing.
        labels: of these images; negative ones are no class and count for nothing.
    """
    is_labelled, maps = kind.is_labelled(labels), {}
    for fusion, raw in values.items():
        found = fit_calibration_map(raw[is_labelled], labels[is_labelled], kind.is_graded)
        if found is not None:
            maps[fusion] = found
    if not maps:
        say("probabilities stay as the network gives them: there are no images of two classes in "
            "val to calibrate them on")  # fmt: skip
    return maps


def write_calibration(workdir: Workdir, step: int, maps: Mapping[str, CalibrationMap]) -> None:
    """Keeps the maps of a step in the workdir."""
    written = {fusion: dataclasses.asdict(found) for fusion, found in maps.items()}
    workdir.write_fitted(FILE, step, {"maps": written})


def read_calibration(workdir: Workdir, step: int) -> dict[str, CalibrationMap] | None:
    """Reads the maps of a step by fusion; None if none were fitted for it."""
    found = workdir.fitted(FILE, step)
    if found is None:
        return None
    return {
        fusion: CalibrationMap(**{**about, "biases": tuple(about["biases"])})
        for fusion, about in found["maps"].items()
    }
