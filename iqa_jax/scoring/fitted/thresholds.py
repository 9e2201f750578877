"""What is fitted after training, for one checkpoint: calibration, thresholds, score maps.

Each is fitted on rows that no figure using it is reported on, and kept in the workdir with the
step of its checkpoint, so that a later evaluation of other rows finds it.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.calibration_map import CalibrationMap, fit_calibration_map
from iqa_jax.analysis.kinds.kind import SCORE_KINDS, score_of
from iqa_jax.analysis.late_fusion import fit_thresholds
from iqa_jax.analysis.logistic import ScoreMap, fit_score_map
from iqa_jax.host.progress import note, say
from iqa_jax.run.workdir import Workdir

# Training rows that a score map is fitted on, at most: more would fix its few parameters no better.
MAP_ROWS = 2000
THRESHOLDS, CALIBRATION, SCORE_MAPS = "thresholds.json", "calibration.json", "logistic.json"


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
    kind, maps = config.data.label_kind, {}
    if kind in SCORE_KINDS:
        return
    if evaluation is not None and evaluation.is_answered.any():
        labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
        is_labelled = labels >= 0
        for fusion in evaluation.metrics["fusions"]:
            values = evaluation.values(fusion)[is_labelled]
            found = fit_calibration_map(values, labels[is_labelled], kind == "ordered")
            if found is not None:
                maps[fusion] = found
    if not maps:
        say("probabilities stay as the network gives them: there are no images of two classes in "
            "val to calibrate them on")  # fmt: skip
    written = {fusion: dataclasses.asdict(found) for fusion, found in maps.items()}
    _write(workdir, CALIBRATION, step, {"maps": written})
    if kind == "binary" and config.data.marginal and maps:
        grades, headline = grades_of(evaluation), config.evaluation.fusion
        if (grades == 1).any():
            # On the same scale as the answers that they cut.
            scores = score_of(maps[headline](evaluation.values(headline)), kind)
            low, high = fit_thresholds(scores, grades)
            _write(workdir, THRESHOLDS, step, {"low": low, "high": high})


def read_calibration(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int
) -> dict[str, CalibrationMap]:
    """Reads the maps of a checkpoint by fusion; empty, with a word, if none were fitted for it."""
    if config.data.label_kind in SCORE_KINDS:
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


def fit_score_maps(
    workdir: Workdir,
    config: ml_collections.ConfigDict,
    evaluate_train: Callable[[int], Any],
    step: int,
) -> None:
    """Fits a map of every fusion's scores on training rows, unless it is there.

    Args:
      workdir, config: of the run.
      evaluate_train: evaluates so many rows of the split `train`, at most.
      step: of the checkpoint.
    """
    if workdir.fitted(SCORE_MAPS, step):
        return
    evaluation = evaluate_train(MAP_ROWS)
    if not evaluation.is_answered.any():
        return
    labels = evaluation.images["label"].to_numpy(np.float64)[evaluation.is_answered]
    wanted, maps = f"logistic_{config.evaluation.logistic_parameters}", {}
    for fusion in evaluation.metrics["fusions"]:
        scores = score_of(evaluation.values(fusion), "numeric")
        found = maps[fusion] = fit_score_map(scores, labels, wanted)
        if found.note:
            say(f"plcc_mapped and rmse_mapped of {fusion}: {found.note}")
    _write(
        workdir,
        SCORE_MAPS,
        step,
        {"maps": {fusion: dataclasses.asdict(found) for fusion, found in maps.items()}},
    )


def read_score_maps(workdir: Workdir, step: int) -> dict[str, ScoreMap]:
    """Reads the maps of a checkpoint by fusion; empty if none were fitted for it."""
    found = workdir.fitted(SCORE_MAPS, step)
    maps = found["maps"] if found else {}
    return {
        fusion: ScoreMap(**{**about, "parameters": tuple(about["parameters"])})
        for fusion, about in maps.items()
    }


def _write(workdir: Workdir, name: str, step: int, found: dict[str, Any]) -> None:
    workdir.write_text(name, json.dumps({"step": step, **found}))
