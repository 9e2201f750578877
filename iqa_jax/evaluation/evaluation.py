"""What an evaluation of one split holds: answers beside labels, and their figures."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.kernel_ridge import KernelRidge
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.linear_probe import Probe
from iqa_jax.analysis.metrics import Metrics
from iqa_jax.scoring.answered import Answered


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One split, evaluated.

    Attributes:
        kind: what the answers mean.
        answers: one per image of the split, in the manifest's order.
        images: the manifest's rows of them.
        metrics: `rows`, `errors`, `tiles`, `fusion`, the figures of the headline fusion, and
            `fusions`: name -> figures.
        pairs: of the images without error, where pairs are compared: `better`, `worse` (places
            among those images), `kind` and `figure`, as in the manifest; ties are left out.
        std_column: name of the column with the standard deviation of an image's opinions, if any.
    """

    kind: Kind
    answers: list[Answered]
    images: pd.DataFrame
    metrics: dict[str, Any]
    pairs: pd.DataFrame | None = None
    std_column: str = ""

    @property
    def headline(self) -> str:
        """The fusion whose figures stand for the run."""
        return self.metrics["fusion"]

    @property
    def is_answered(self) -> np.ndarray:
        return np.array([not answer.error for answer in self.answers], bool)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the images without error."""
        return self.images["label"].to_numpy()[self.is_answered]

    @property
    def stds(self) -> np.ndarray | None:
        """Standard deviations of opinions of the images without error; None without a column."""
        return _stds(self.images[self.is_answered], self.std_column)

    def values(self, fusion: str) -> np.ndarray:
        """Gives one fusion's values of the images without error, [image, values]."""
        return np.array([a.values[fusion] for a in self.answers if not a.error])


def grades_of(evaluation: Evaluation) -> np.ndarray:
    """Gives binary labels with the marginal ones between: 0 bad, 1 marginal, 2 good."""
    return np.choose(evaluation.labels + 1, (1, 0, 2))


def _stds(images: pd.DataFrame, column: str) -> np.ndarray | None:
    return images[column].to_numpy() if column in images else None


def calibrate_evaluation(evaluation: Evaluation, maps: Mapping[str, CalibrationMap]) -> Evaluation:
    """Gives the evaluation of the calibrated answers, with their figures.

    Args:
        evaluation: of raw answers.
        maps: by fusion.
    """
    if not maps:
        return evaluation
    answers = [
        answer if answer.error else answer.calibrated(maps, evaluation.headline)
        for answer in evaluation.answers
    ]
    return measure_answers(
        answers,
        evaluation.images,
        evaluation.pairs,
        kind=evaluation.kind,
        headline=evaluation.headline,
        std_column=evaluation.std_column,
    )


def measure_answers(
    answers: list[Answered],
    images: pd.DataFrame,
    pairs: pd.DataFrame | None,
    *,
    kind: Kind,
    headline: str,
    std_column: str = "",
) -> Evaluation:
    """Computes the figures of answers.

    Args:
        answers: one per image.
        images: the manifest's rows of them.
        kind, pairs, std_column: as in `Evaluation`.
        headline: the fusion whose figures stand for the run.
    """
    is_answered = np.array([not answer.error for answer in answers])
    answered = images[is_answered]
    labels, std = answered["label"].to_numpy(), _stds(answered, std_column)
    good = [answer for answer in answers if not answer.error]
    fusions = {}
    for fusion in good[0].values if good else ():
        values = np.array([answer.values[fusion] for answer in good])
        fusions[fusion] = kind.figures(values, labels, std=std, pairs=pairs)
    return Evaluation(
        kind,
        answers,
        images,
        {
            "rows": len(images),
            "errors": len(images) - len(good),
            "tiles": sum(len(answer.tile_values) for answer in good),
            "fusion": headline,
            **fusions.get(headline, {}),
            "fusions": fusions,
        },
        pairs,
        std_column,
    )


def probe_figures(
    evaluation: Evaluation, fusion: str, probe: Probe | KernelRidge | None
) -> Metrics:
    """Gives the figures of whole images' embeddings: `linear_probe_<name>` and `knn_<name>`.

    Args:
        evaluation: of a split that the probe was not fitted on.
        fusion: name of the network's own.
        probe: of a run whose network does not answer by itself; others have no such figures.
    """
    if not isinstance(probe, Probe) or not evaluation.is_answered.any():
        return {}
    kind = evaluation.kind
    embeddings = [answer.embedding for answer in evaluation.answers if not answer.error]
    labels = evaluation.labels
    answers = {
        "linear_probe": evaluation.values(fusion),
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
