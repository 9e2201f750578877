"""The evaluator: used by the train loop and by `--mode=evaluate`, so their figures agree.

One prediction per image is gathered and every metric is computed once over all of them.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
import pandas as pd
from jaxtyping import Float32

from input_pipeline.batches.embeddings import embedded_bags
from input_pipeline.batches.whole_bags import Bag, whole_bags
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.views import PLAIN, View
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.detectors import Detector
from iqa_jax.analysis.kernel_ridge import KernelRidge
from iqa_jax.analysis.kinds.kind import score_of
from iqa_jax.analysis.linear_probe import Probe
from iqa_jax.analysis.metrics import binary_metrics, class_metrics, score_metrics
from iqa_jax.analysis.pair_metrics import pair_accuracy
from iqa_jax.evaluation.split_figures import (
    pairs_by_figure,
)
from iqa_jax.host.processes import gather_shares, share
from iqa_jax.host.progress import meter
from iqa_jax.run import build
from iqa_jax.run.config import METRICS
from iqa_jax.scoring.embedding_cache import CachedEmbeddings
from iqa_jax.scoring.networks import Member
from iqa_jax.scoring.scorer import Answered, scorer_from_config


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

    def values(self, fusion: str) -> np.ndarray:
        """Gives one fusion's values of the images without error, [image, values]."""
        return np.array([a.values[fusion] for a in self.answers if not a.error])


class Evaluator:
    """Evaluates parameters on the splits of one manifest.

    Answers are raw: what calibrates them is fitted on raw answers of `val`, and a checkpoint is
    chosen before there is such a map (`calibrate_evaluation` makes the answers of a finished run).

    Args:
      config: of the run.
      manifest, source: the images. For rankings they are clean photographs; the evaluator's own
        `manifest` and `source` are then of their degraded versions.
      features: scaling of the hand-crafted features.
      embeddings: of all images as they are, where the config asks for the cache.
      is_thorough: answer with the config's views and dropout passes too, which the loop does
        without: they take their time and may change after training.
      is_shared: all processes of the run call together, and each scores its part.
      detector: of anomalous tiles, if any.
      members: networks that answer beside the run's own; the loop does without them too.
    """

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        manifest: Manifest,
        source: TileSource,
        features: FeatureTable,
        embeddings: CachedEmbeddings | None = None,
        is_thorough: bool = False,
        is_shared: bool = False,
        detector: Detector | None = None,
        members: Sequence[Member] = (),
    ):
        if config.data.label_kind == "ranking":
            manifest, source = build.versions_from_config(config, manifest)
        self._embeddings, self._is_shared = embeddings, is_shared
        self._config, self.manifest = config, manifest
        self.source, self._features = source, features
        self._views = build.views_from_config(config) if is_thorough else (PLAIN,)
        passes = config.uncertainty.passes if is_thorough else 0
        self._scorer = scorer_from_config(config, passes, detector, members)
        # The cache holds the plain view alone, and embeddings of this run's encoder.
        self._needs_pixels = embeddings is None or bool(members)

    def answers(
        self, variables: Any, image_ids: Sequence[int], is_plain: bool = False
    ) -> Iterator[Answered]:
        """Answers images in the given order; `is_plain` leaves the views out."""
        views = (PLAIN,) if is_plain else self._views
        return self._scorer.score(variables, self._bags(image_ids, views))

    def embed(
        self, variables: Any, image_ids: Sequence[int]
    ) -> Iterator[tuple[Bag, Float32[np.ndarray, "tile dim"]]]:
        """Gives the bags of images in the given order, and the embeddings of their tiles."""
        return self._scorer.embed(variables, self._bags(image_ids, (PLAIN,)))

    def _bags(self, image_ids: Sequence[int], views: Sequence[View]) -> Iterator[Bag]:
        which = (self.source, image_ids, self._features, self.manifest.images)
        if not self._needs_pixels and set(views) == {PLAIN}:
            return embedded_bags(self._embeddings, *which, self._embeddings.warning)
        return whole_bags(*which, threads=self._config.data.threads, views=views)

    def __call__(self, variables: Any, split: str, at_most: int | None = None) -> Evaluation:
        """Scores the images of a split, or so many of them, and computes their metrics."""
        config, images = self._config, self.manifest.split(split)
        if at_most is not None and len(images) > at_most:
            images = images.sample(at_most, random_state=config.seed).sort_index()
        answers = []
        image_ids = share(images.index) if self._is_shared else images.index
        with meter(f"evaluating {split}", len(image_ids)) as progress:
            for answer in self.answers(variables, image_ids):
                answers.append(answer)
                progress.update(len(answers))
        if self._is_shared:
            answers = gather_shares(answers)
        pairs = None
        if self.manifest.pairs is not None:
            is_answered = np.array([not answer.error for answer in answers])
            pairs = _decided_pairs(self.manifest.pairs, images.index[is_answered])
        return _measure(config, answers, images, pairs)


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
    return _measure(config, answers, evaluation.images, evaluation.pairs)


def _measure(
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
        fusions[fusion] = compute_metrics(config.data.label_kind, values, labels, std, pairs)
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


def compute_metrics(
    kind: str,
    values: np.ndarray,
    labels: np.ndarray,
    std: np.ndarray | None = None,
    pairs: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Computes the metrics of a label kind over images; marginal ones have no binary label."""
    if pairs is not None:
        scores = score_of(values, kind)
        return {"n": len(scores), "pairs": len(pairs)} | {
            name: pair_accuracy(scores, ends) for name, ends in pairs_by_figure(kind, pairs).items()
        }
    if kind == "numeric":
        return score_metrics(score_of(values, kind), labels, std)
    values, labels = values[labels >= 0], labels[labels >= 0]
    if kind == "binary":
        return binary_metrics(score_of(values, kind), labels)
    return class_metrics(values, labels, kind == "ordered")


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
    kind = config.data.label_kind
    embeddings = [answer.embedding for answer in evaluation.answers if not answer.error]
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    answers = {
        "linear_probe": evaluation.values(config.model.fusion),
        "knn": probe.nearest_labels(np.array(embeddings)),
    }
    return {
        f"{name}_{figure}": value
        for name, values in answers.items()
        for figure, value in compute_metrics(kind, values, labels).items()
        if figure in METRICS[kind]
    }


def _decided_pairs(pairs: pd.DataFrame, image_ids: pd.Index) -> pd.DataFrame:
    """Gives the pairs of some images that are no ties, by the images' places."""
    first, second = (image_ids.get_indexer(pairs[name]) for name in ("first", "second"))
    is_first = pairs["preference"].to_numpy() > 0.5
    found = pairs[["kind", "figure"]].assign(
        better=np.where(is_first, first, second), worse=np.where(is_first, second, first)
    )
    return found[(first >= 0) & (second >= 0) & (pairs["preference"] != 0.5)]
