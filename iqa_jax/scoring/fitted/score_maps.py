"""Maps from scores to labels, fitted on training rows, for the figures that allow one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from iqa_jax.analysis.kinds.kind import score_of
from iqa_jax.analysis.logistic import ScoreMap, fit_score_map
from iqa_jax.host.progress import say
from iqa_jax.run.workdir import Workdir

# Training rows that a score map is fitted on, at most: more would fix its few parameters no better.
MAP_ROWS = 2000
SCORE_MAPS = "logistic.json"


def fit_score_maps(
    workdir: Workdir,
    evaluate_train: Callable[[int], Any],
    step: int,
) -> None:
    """Fits a map of every fusion's scores on training rows, unless it is there.

    Args:
      workdir: of the run.
      evaluate_train: evaluates so many rows of the split `train`, at most.
      step: of the checkpoint.
    """
    if workdir.fitted(SCORE_MAPS, step):
        return
    evaluation = evaluate_train(MAP_ROWS)
    if not evaluation.is_answered.any():
        return
    labels = evaluation.images["label"].to_numpy(np.float64)[evaluation.is_answered]
    maps = {}
    for fusion in evaluation.metrics["fusions"]:
        scores = score_of(evaluation.values(fusion), "numeric")
        found = maps[fusion] = fit_score_map(scores, labels)
        if found.note:
            say(f"plcc_mapped and rmse_mapped of {fusion}: {found.note}")
    workdir.write_fitted(
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
