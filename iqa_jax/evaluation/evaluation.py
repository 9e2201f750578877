"""What an evaluation of one split holds: answers beside labels, and their figures."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.kernel_ridge import KernelRidge
from iqa_jax.analysis.linear_probe import Probe
from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One split, evaluated.

    Attributes:
      answers: one per image of the split, in the manifest's order.
      images: the manifest's rows of them.
      metrics: `rows`, `errors`, `tiles`, `fusion`, the figures of the headline fusion, and
        `fusions`: name -> figures.
      pairs: of the images without error, where pairs are compared: `better`, `worse` (places among
        those images), `kind` and `figure`, as in the manifest; ties are left out.
    """

    answers: list[Answered]
    images: pd.DataFrame
    metrics: dict[str, Any]
    pairs: pd.DataFrame | None = None

    @property
    def is_answered(self) -> np.ndarray:
        return np.array([not answer.error for answer in self.answers], bool)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the images without error."""
        return self.images["label"].to_numpy()[self.is_answered]

    def values(self, fusion: str) -> np.ndarray:
        """Gives one fusion's values of the images without error, [image, values]."""
        return np.array([a.values[fusion] for a in self.answers if not a.error])


def grades_of(evaluation: Evaluation) -> np.ndarray:
    """Gives binary labels with the marginal ones between: 0 bad, 1 marginal, 2 good."""
    return np.choose(evaluation.labels + 1, (1, 0, 2))


def calibrate_evaluation(
    config: ml_collections.ConfigDict, evaluation: Evaluation, maps: Mapping[str, CalibrationMap]
) -> Evaluation:
    """Gives the evaluation of the calibrated answers, with their figures.

    Args:
      config: of the run.
      evaluation: of raw answers.
      maps: by fusion.
    """
    if not maps:
        return evaluation
    answers = [
        answer if answer.error else answer.calibrated(maps, config.evaluation.fusion)
        for answer in evaluation.answers
    ]
    return measure_answers(config, answers, evaluation.images, evaluation.pairs)


def measure_answers(
    config: ml_collections.ConfigDict,
    answers: list[Answered],
    images: pd.DataFrame,
    pairs: pd.DataFrame | None,
) -> Evaluation:
    is_answered = np.array([not answer.error for answer in answers])
    labels, std = images["label"].to_numpy()[is_answered], None
    if config.data.label_std_column in images:
        std = images[config.data.label_std_column].to_numpy()[is_answered]
    good = [answer for answer in answers if not answer.error]
    fusions = {}
    for fusion in good[0].values if good else ():
        values = np.array([answer.values[fusion] for answer in good])
        fusions[fusion] = kind_from_config(config).figures(values, labels, std=std, pairs=pairs)
    return Evaluation(
        answers,
        images,
        {
            "rows": len(images),
            "errors": len(images) - len(good),
            "tiles": sum(len(answer.tile_values) for answer in good),
            "fusion": config.evaluation.fusion,
            **fusions.get(config.evaluation.fusion, {}),
            "fusions": fusions,
        },
        pairs,
    )


def probe_figures(
    config: ml_collections.ConfigDict, evaluation: Evaluation, probe: Probe | KernelRidge | None
) -> dict[str, float | None]:
    """Gives the figures of whole images' embeddings: `linear_probe_<name>` and `knn_<name>`.

    Args:
      config: of the run.
      evaluation: of a split that the probe was not fitted on.
      probe: of a run whose network does not answer by itself; others have no such figures.
    """
    if not isinstance(probe, Probe) or not evaluation.is_answered.any():
        return {}
    kind = kind_from_config(config)
    embeddings = [answer.embedding for answer in evaluation.answers if not answer.error]
    labels = evaluation.labels
    answers = {
        "linear_probe": evaluation.values(config.model.fusion),
        "knn": probe.nearest_labels(np.array(embeddings)),
    }
    return {
        f"{name}_{figure}": value
        for name, values in answers.items()
        for figure, value in kind.figures(values, labels).items()
        if figure in kind.metrics
    }


def decided_pairs(pairs: pd.DataFrame, image_ids: pd.Index) -> pd.DataFrame:
    """Gives the pairs of some images that are no ties, by the images' places."""
    first, second = (image_ids.get_indexer(pairs[name]) for name in ("first", "second"))
    is_first = pairs["preference"].to_numpy() > 0.5
    found = pairs[["kind", "figure"]].assign(
        better=np.where(is_first, first, second), worse=np.where(is_first, second, first)
    )
    return found[(first >= 0) & (second >= 0) & (pairs["preference"] != 0.5)]
