"""What is fitted after training, for one checkpoint: thresholds, a temperature, score maps.

Each is fitted on rows that no figure using it is reported on, and kept in the workdir with the
step of its checkpoint, so that a later evaluation of other rows finds it.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.answers import SCORE_KINDS, score_of
from iqa_jax.analysis.calibration import fit_temperature
from iqa_jax.analysis.late_fusion import fit_thresholds
from iqa_jax.analysis.logistic import ScoreMap, fit_score_map
from iqa_jax.progress import say
from iqa_jax.workdir import Workdir

# Training rows that a score map is fitted on, at most: more would fix its few parameters no better.
MAP_ROWS = 2000
THRESHOLDS, TEMPERATURE, SCORE_MAPS = "thresholds.json", "temperature.json", "logistic.json"


def grades_of(evaluation: Any) -> np.ndarray:
    """Gives binary labels with the marginal ones between: 0 bad, 1 marginal, 2 good."""
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    return np.choose(labels + 1, (1, 0, 2))


def fit_on_val(
    workdir: Workdir, config: ml_collections.ConfigDict, evaluation: Any, step: int
) -> None:
    """Fits what the answers need, on `val`.

    Args:
      workdir, config: of the run.
      evaluation: of the split `val`.
      step: of the checkpoint.
    """
    kind = config.data.label_kind
    if kind in SCORE_KINDS or not evaluation.is_answered.any():
        return
    values = evaluation.values(config.evaluation.fusion)
    if kind == "binary" and config.data.marginal:
        grades = grades_of(evaluation)
        if (grades == 1).any():
            low, high = fit_thresholds(score_of(values, kind), grades)
            _write(workdir, THRESHOLDS, step, {"low": low, "high": high})
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    temperature = fit_temperature(values[labels >= 0], labels[labels >= 0])
    if temperature is not None:
        _write(workdir, TEMPERATURE, step, {"temperature": temperature})


def read_temperature(workdir: Workdir, step: int) -> float | None:
    """Reads the temperature of a checkpoint; None if none was fitted for it."""
    found = workdir.fitted(TEMPERATURE, step)
    return found["temperature"] if found else None


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
