"""The evaluator: used by the train loop and by `--mode=evaluate`, so their figures agree.

One prediction per image is gathered and every metric is computed once over all of them.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import ml_collections
import numpy as np
from jaxtyping import Float32

from input_pipeline.batches.embeddings import embedded_bags
from input_pipeline.batches.whole_bags import Bag, whole_bags
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.views import PLAIN, View
from iqa_jax.analysis.detectors import Detector
from iqa_jax.analysis.kinds import Kind
from iqa_jax.evaluation.evaluation import Evaluation, decided_pairs, measure_answers
from iqa_jax.host.processes import gather_shares, share
from iqa_jax.host.progress import meter
from iqa_jax.run import build
from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.embedding_cache import CachedEmbeddings
from iqa_jax.scoring.networks import Member
from iqa_jax.scoring.scorer import Scorer, scorer_from_config


class Evaluator:
    """Evaluates parameters on the splits of one manifest.

    Answers are raw: what calibrates them is fitted on raw answers of `val`, and a checkpoint is
    chosen before there is such a map (`calibrate_evaluation` makes the answers of a finished run).

    Args:
        scorer: of the run.
        manifest, source: the images.
        features: scaling of the hand-crafted features.
        kind: what the answers mean.
        headline: the fusion whose figures stand for the run.
        std_column: as in `Evaluation`.
        views: looks at an image whose answers are averaged.
        embeddings: of all images as they are by this run's encoder, where they suffice.
        is_shared: all processes of the run call together, and each scores its part.
        threads: that decode and cut.
        seed: of the choice of images where only so many are evaluated.
    """

    def __init__(
        self,
        scorer: Scorer,
        manifest: Manifest,
        source: TileSource,
        features: FeatureTable,
        *,
        kind: Kind,
        headline: str,
        std_column: str = "",
        views: Sequence[View] = (PLAIN,),
        embeddings: CachedEmbeddings | None = None,
        is_shared: bool = False,
        threads: int,
        seed: int,
    ):
        self._scorer, self._features = scorer, features
        self.manifest, self.source = manifest, source
        self._measure = partial(
            measure_answers, kind=kind, headline=headline, std_column=std_column
        )
        self._views, self._embeddings, self._is_shared = views, embeddings, is_shared
        self._threads, self._seed = threads, seed

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
        if self._embeddings is not None and set(views) == {PLAIN}:
            return embedded_bags(self._embeddings, *which, self._embeddings.warning)
        return whole_bags(*which, threads=self._threads, views=views)

    def __call__(self, variables: Any, split: str, at_most: int | None = None) -> Evaluation:
        """Scores the images of a split, or so many of them, and computes their metrics."""
        images = self.manifest.measured(split)
        if at_most is not None and len(images) > at_most:
            images = images.sample(at_most, random_state=self._seed).sort_index()
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
            pairs = decided_pairs(self.manifest.pairs, images.index[is_answered])
        return self._measure(answers, images, pairs)


def evaluator_from_config(
    config: ml_collections.ConfigDict,
    manifest: Manifest,
    source: TileSource,
    features: FeatureTable,
    embeddings: CachedEmbeddings | None = None,
    is_thorough: bool = False,
    is_shared: bool = False,
    detector: Detector | None = None,
    members: Sequence[Member] = (),
) -> Evaluator:
    """Makes the evaluator of a run.

    Args:
        config: of the run.
        manifest, source: the images. For rankings they are clean photographs; the evaluator's own
            `manifest` and `source` are then of their degraded versions.
        features: scaling of the hand-crafted features.
        embeddings: of all images as they are, where the config asks for the cache.
        is_thorough: answer with the config's views and dropout samples too, which the loop does
            without: they take their time and may change after training.
        is_shared: all processes of the run call together, and each scores its part.
        detector: of anomalous tiles, if any.
        members: networks that answer beside the run's own; the loop does without them too.
    """
    kind = kind_from_config(config)
    if kind.makes_versions:
        manifest, source = build.versions_from_config(config, manifest)
    mc_samples = config.uncertainty.mc_samples if is_thorough else 0
    return Evaluator(
        scorer_from_config(config, mc_samples, detector, members),
        manifest,
        source,
        features,
        kind=kind,
        headline=config.evaluation.fusion,
        std_column=config.data.label_std_column,
        views=build.views_from_config(config) if is_thorough else (PLAIN,),
        # The cache holds the plain view alone, and embeddings of this run's encoder.
        embeddings=None if members else embeddings,
        is_shared=is_shared,
        threads=config.host.threads,
        seed=config.seed,
    )
