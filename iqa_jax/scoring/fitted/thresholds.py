"""What is fitted after training, for one checkpoint: calibration, thresholds, score maps.

Each is fitted on rows that no figure using it is reported on, and kept in the workdir with the
step of its checkpoint, so that a later evaluation of other rows finds it.
"""

import dataclasses
from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.calibration_map import CalibrationMap, fit_calibration_map
from iqa_jax.analysis.late_fusion import fit_thresholds
from iqa_jax.host.progress import note, say
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir

THRESHOLDS, CALIBRATION = "thresholds.json", "calibration.json"


def grades_of(evaluation: Any) -> np.ndarray:
    """Gives binary labels with the marginal ones between: 0 bad, 1 marginal, 2 good."""
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    return np.choose(labels + 1, (1, 0, 2))


def fit_on_val(
    workdir: Workdir, config: ml_collections.ConfigDict, evaluation: Any | None, step: int
) -> None:
    """Fits what the answers need, on `val`: a calibration map per fusion, then thresholds.

    Args:
      workdir, config: of the run.
      evaluation: of the split `val`, with raw answers; None where the run has no such split.
      step: of the checkpoint.
    """
    kind, maps = kind_from_config(config), {}
    if not kind.has_classes:
        return
    if evaluation is not None and evaluation.is_answered.any():
        labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
        is_labelled = kind.is_labelled(labels)
        for fusion in evaluation.metrics["fusions"]:
            values = evaluation.values(fusion)[is_labelled]
            found = fit_calibration_map(values, labels[is_labelled], kind.is_graded)
            if found is not None:
                maps[fusion] = found
    if not maps:
        say("probabilities stay as the network gives them: there are no images of two classes in "
            "val to calibrate them on")  # fmt: skip
    written = {fusion: dataclasses.asdict(found) for fusion, found in maps.items()}
    workdir.write_fitted(CALIBRATION, step, {"maps": written})
    if kind.marginal and maps:
        grades, headline = grades_of(evaluation), config.evaluation.fusion
        if (grades == 1).any():
            # On the same scale as the answers that they cut.
            scores = kind.score_of(maps[headline](evaluation.values(headline)))
            low, high = fit_thresholds(scores, grades)
            workdir.write_fitted(THRESHOLDS, step, {"low": low, "high": high})


def read_calibration(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int
) -> dict[str, CalibrationMap]:
    """Reads the maps of a checkpoint by fusion; empty, with a word, if none were fitted for it."""
    if not kind_from_config(config).has_classes:
        return {}
    found = workdir.fitted(CALIBRATION, step)
    if found is None:
        note("probabilities and labels are not calibrated: no calibration was fitted for this "
             "checkpoint. Run once, to fit it: "
             f"--mode=evaluate --workdir={workdir.folder}")  # fmt: skip
        return {}
    return {
        fusion: CalibrationMap(**{**about, "biases": tuple(about["biases"])})
        for fusion, about in found["maps"].items()
    }
