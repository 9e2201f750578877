"""The evaluator: used by the train loop and by `--mode=evaluate`, so their figures agree.

One prediction per image is gathered and every metric is computed once over all of them.
"""

import dataclasses
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd
from jaxtyping import Float32

from input_pipeline.bags import Bag, whole_bags
from input_pipeline.embeddings import embedded_bags
from input_pipeline.features import FeatureTable
from input_pipeline.manifest import Manifest
from input_pipeline.sources import TileSource
from input_pipeline.views import PLAIN, View
from iqa_jax import setup
from iqa_jax.analysis.anomaly import Detector
from iqa_jax.analysis.answers import score_of
from iqa_jax.analysis.metrics import binary_metrics, class_metrics, score_metrics
from iqa_jax.analysis.pair_metrics import pair_accuracy
from iqa_jax.analysis.probe import Probe
from iqa_jax.anomaly import anomaly_figures, read_detector
from iqa_jax.confidence import (
    Confidence,
    confidence_metrics,
    fit_confidence,
    read_confidence,
    write_confidence,
)
from iqa_jax.config import LOWER_IS_BETTER, METRICS, headline_metric
from iqa_jax.embed import CachedEmbeddings, cache_embeddings
from iqa_jax.explainer import Explainer
from iqa_jax.fitted import fit_on_val, fit_score_maps, read_score_maps, read_temperature
from iqa_jax.localise import localise
from iqa_jax.predictions import prediction_table
from iqa_jax.probe import read_probe
from iqa_jax.processes import gather_shares, share
from iqa_jax.progress import meter, say
from iqa_jax.scorer import Answered, scorer_from_config
from iqa_jax.split_figures import (
    describe_split,
    format_splits,
    note_disagreement,
    pairs_by_figure,
)
from iqa_jax.variables import restore_variables
from iqa_jax.workdir import Workdir, WorkdirError


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

    Args:
      config: of the run.
      manifest, source: the images. For rankings they are clean photographs; the evaluator's own
        `manifest` and `source` are then of their degraded versions.
      features: scaling of the hand-crafted features.
      embeddings: of all images, where the config asks for the cache.
      is_thorough: answer with the config's views and dropout passes too, which the loop does
        without: they take their time and may change after training.
      is_shared: all processes of the run call together, and each scores its part.
      detector: of anomalous tiles, if any.
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
    ):
        if config.data.label_kind == "ranking":
            manifest, source = setup.versions_from_config(config, manifest)
        self._embeddings, self._is_shared = embeddings, is_shared
        self._config, self.manifest = config, manifest
        self.source, self._features = source, features
        self._views = setup.views_from_config(config) if is_thorough else (PLAIN,)
        passes = config.uncertainty.passes if is_thorough else 0
        self._scorer = scorer_from_config(config, passes, detector)

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
        if self._embeddings is not None:
            return embedded_bags(self._embeddings, *which)
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
        is_answered = np.array([not answer.error for answer in answers])
        labels, std = images["label"].to_numpy()[is_answered], None
        if config.data.label_std_column in images:
            std = images[config.data.label_std_column].to_numpy()[is_answered]
        good = [answer for answer in answers if not answer.error]
        pairs = None
        if self.manifest.pairs is not None:
            pairs = _decided_pairs(self.manifest.pairs, images.index[is_answered])
        fusions = {}
        for fusion in good[0].values if good else ():
            values = np.array([answer.values[fusion] for answer in good])
            fusions[fusion] = compute_metrics(
                config.data.label_kind, values, labels, std, pairs
            )
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


def _decided_pairs(pairs: pd.DataFrame, image_ids: pd.Index) -> pd.DataFrame:
    """Gives the pairs of some images that are no ties, by the images' places."""
    first, second = (image_ids.get_indexer(pairs[name]) for name in ("first", "second"))
    is_first = pairs["preference"].to_numpy() > 0.5
    found = pairs[["kind", "figure"]].assign(
        better=np.where(is_first, first, second), worse=np.where(is_first, second, first)
    )
    return found[(first >= 0) & (second >= 0) & (pairs["preference"] != 0.5)]


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
    config: ml_collections.ConfigDict, evaluation: Evaluation, probe: Probe | None
) -> dict[str, float | None]:
    """Gives the figures of whole images' embeddings: `linear_probe_<name>` and `knn_<name>`.

    Args:
      config: of the run.
      evaluation: of a split that the probe was not fitted on.
      probe: None for a run whose network answers by itself, which has no such figures.
    """
    if probe is None or not evaluation.is_answered.any():
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


def evaluate(workdir: Workdir, split: str, manifest_path: str, command: str) -> int:
    """Evaluates a run: `--mode=evaluate`; arguments as in `evaluate_run`; gives exit status 0."""
    evaluate_run(workdir, split=split, manifest_path=manifest_path, command=command)
    return 0


def evaluate_run(
    workdir: Workdir, *, split: str = "", manifest_path: str = "", command: str = ""
) -> dict[str, Any]:
    """Evaluates the best checkpoint of a run and writes its figures, predictions and report.

    Args:
      workdir: of the run; with another manifest the results go to a folder inside it.
      split: only this one; empty for all but `train`.
      manifest_path: evaluate on this one instead of the run's own.
      command: how it was started, for the report.

    Returns:
      What metrics.json holds.

    Raises:
      WorkdirError, ManifestError, CheckpointError: with a sentence.
    """
    config = workdir.config()
    manifest, output = _open_manifest(workdir, config, manifest_path)
    source = setup.source_from_config(config, manifest)
    variables, step = restore_variables(workdir, config)
    embeddings = cache_embeddings(config, variables, source) if config.bags.cached else None
    features = workdir.features()
    detector = read_detector(workdir, config, step)
    evaluator = Evaluator(
        config, manifest, source, features, embeddings, is_thorough=True, detector=detector
    )
    manifest, source = evaluator.manifest, evaluator.source
    say(f"evaluating the checkpoint of step {step}")
    splits = [split] if split else [name for name in manifest.splits if name != "train"]
    if not splits:
        say("there is no split but train: its figures say how well it was learnt, no more")
        splits = ["train"]
    seen = _names_seen(workdir, config) if manifest_path else set()
    evaluations, metrics = evaluate_splits(
        config, workdir, evaluator, variables, step, splits,
        output=output, is_own=not manifest_path, seen=seen,
    )  # fmt: skip
    explainer = Explainer(config, detector)
    for name in splits:
        if found := localise(config, explainer, variables, manifest, source, features, name):
            metrics[name]["localisation"] = found
            _add_metrics(output, metrics)

    # Imports matplotlib: only a report needs it.
    from iqa_jax.evaluation_report import write_run_report
    from iqa_jax.model_card import write_run_card
    from iqa_jax.report_maps import grad_cam_overlays, make_planes

    report = output.folder / (f"report_{split}.html" if split else "report.html")
    write_run_report(
        report,
        config,
        workdir,
        source,
        evaluations,
        metrics,
        workdir.thresholds(step),
        step,
        command,
        make_planes(config, evaluations),
        grad_cam_overlays(explainer, variables, source, features, manifest.images),
    )
    if not manifest_path:
        write_run_card(config, workdir, manifest, step)
    for name, figures in metrics.items():
        for fusion, values in figures["fusions"].items():
            say(f"{name:8} {fusion:15} " + format_figures(values))
        if figures["errors"]:
            say(f"{name:8} {figures['errors']} image(s) could not be read: predictions_{name}.csv")
    # With the splits of earlier evaluations of this checkpoint.
    everything = output.read_json("metrics.json")
    for line in format_splits(everything):
        say(line)
    for sentence in everything.get("holdout", {}).get("disagrees_with_test", ()):
        say(f"WARNING: {sentence}")
    say(f"metrics.json, predictions and {report.name} are in {output.folder}")
    return metrics


def format_figures(figures: dict[str, Any]) -> str:
    """Writes the single figures of a metrics dict on one line."""
    return "  ".join(
        f"{name} {'undefined' if value is None else f'{value:.4g}'}"
        for name, value in figures.items()
        if value is None or isinstance(value, (int, float))
    )


def evaluate_splits(
    config: ml_collections.ConfigDict,
    workdir: Workdir,
    evaluator: Evaluator,
    variables: Any,
    step: int,
    splits: Sequence[str],
    *,
    output: Workdir,
    is_own: bool = True,
    seen: Collection[str] = (),
) -> tuple[dict[str, Evaluation], dict[str, Any]]:
    """Evaluates splits, fits what answers need, and writes metrics.json and the predictions.

    Args:
      config, workdir: of the run.
      evaluator: of the manifest that has the splits.
      variables, step: of the checkpoint.
      splits: `val` before what is tested.
      output: where metrics.json and the predictions go.
      is_own: whether the splits are those of the run's own manifest, which things are fitted on.
      seen: places of images that trained the run or chose its checkpoint.

    Returns:
      Split -> evaluation, and split -> what metrics.json holds of it.
    """
    if config.data.label_kind == "numeric":
        if is_own:
            fit_score_maps(
                workdir, config, lambda rows: evaluator(variables, "train", at_most=rows), step
            )
        elif not workdir.fitted("logistic.json", step):
            say("no score map was fitted for this checkpoint: plcc_mapped and rmse_mapped stay "
                f"undefined until --mode=evaluate --workdir={workdir.folder} has run")  # fmt: skip
    evaluations, metrics = {}, {}
    confidence = read_confidence(workdir, config, step)
    trusted_on = config.uncertainty.split
    if confidence is None and is_own and trusted_on in splits:
        evaluation = evaluations[trusted_on] = evaluator(variables, trusted_on)
        confidence = _fit_confidence(config, evaluator, variables, evaluation)
        write_confidence(workdir, config, step, confidence)
    elif confidence is None:
        say("lower, upper, ood and abstain stay empty: they are fitted where the run's split "
            f"{trusted_on} (uncertainty.split) is evaluated")  # fmt: skip
    confidence = confidence or Confidence()
    probe = read_probe(workdir, config, step)
    # What is scored is written at once: a later split may be interrupted.
    for name in splits:
        evaluation = evaluations[name] = evaluations.get(name) or evaluator(variables, name)
        if is_own and name == "val":
            fit_on_val(workdir, config, evaluation, step)
        overlap = len(set(seen).intersection(_places(evaluation.images)))
        thresholds = workdir.thresholds(step)
        # No figure on rows that what it needs was fitted on.
        fitted_on = {"train", "val"} if overlap else {name} if is_own else set()
        metrics[name] = {
            "step": step,
            **describe_split(
                config,
                evaluation,
                thresholds=None if "val" in fitted_on else thresholds,
                temperature=None if "val" in fitted_on else read_temperature(workdir, step),
                score_maps=None if "train" in fitted_on else read_score_maps(workdir, step),
            ),
        }
        if "train" not in fitted_on:
            labels = evaluation.images["label"].to_numpy()
            metrics[name] |= probe_figures(config, evaluation, probe)
            metrics[name] |= anomaly_figures(config, evaluation.answers, labels)
        if overlap:
            metrics[name]["seen_in_training"] = overlap
            say(f"WARNING: {overlap} images of {name} trained this run or chose its checkpoint; "
                "its figures flatter")  # fmt: skip
        # Nor on rows that intervals and abstaining were fitted on, or the network was.
        elif not is_own or name not in ("train", trusted_on):
            labels = evaluation.images["label"].to_numpy()
            metrics[name] |= confidence_metrics(config, evaluation.answers, labels, confidence)
        if name == "val" and len(setup.views_from_config(config)) > 1:
            metrics[name]["tta_gain"] = _tta_gain(config, evaluation)
        table = prediction_table(config, evaluation, thresholds, confidence)
        table.to_csv(output.folder / f"predictions_{name}.csv", index=False)
        _add_metrics(output, metrics)
    return evaluations, metrics


def _open_manifest(
    workdir: Workdir, config: ml_collections.ConfigDict, manifest_path: str
) -> tuple[Manifest, Workdir]:
    """Reads the manifest to evaluate, and says where results go."""
    if manifest_path:
        manifest = setup.manifest_from_config(config, manifest_path, whole="all")
        # Many manifests are called manifest.csv; the digest tells them apart.
        name = f"evaluation_{Path(manifest_path).stem}_{manifest.digest[:8]}"
        output = Workdir(workdir.folder / name)
        output.folder.mkdir(exist_ok=True)
        return manifest, output
    about = workdir.read_json("manifest.json")
    manifest = setup.manifest_from_config(config, about["path"])
    if manifest.digest != about["sha256"]:
        raise WorkdirError(
            f"{about['path']} has changed since {workdir.folder} was trained, so its splits may "
            f"no longer be what training saw. Put the old one back, or give the new one with "
            f"--manifest to evaluate it apart."
        )
    return manifest, workdir


def _places(images: pd.DataFrame) -> pd.Series:
    """Says where images are, or what they are called where they are given as tiles."""
    return images["path"].where(images["path"] != "", images["name"])


def _names_seen(workdir: Workdir, config: ml_collections.ConfigDict) -> set[str]:
    """Names the images that trained a run or chose its checkpoint, if its manifest is there."""
    path = Path(workdir.read_json("manifest.json")["path"])
    if not path.exists():
        say(f"{path} is gone: whether these images trained the run cannot be told")
        return set()
    images = setup.manifest_from_config(config, path).images
    return set(_places(images[images["split"].isin(("train", "val"))]))


def _add_metrics(output: Workdir, metrics: dict[str, Any]) -> None:
    """Writes metrics.json, keeping other splits' figures of the same checkpoint."""
    step = next(iter(metrics.values()))["step"]
    known = output.read_json("metrics.json") if (output.folder / "metrics.json").exists() else {}
    known = {name: figures for name, figures in known.items() if figures["step"] == step}
    merged = {**known, **metrics}
    note_disagreement(merged)
    output.write_text("metrics.json", json.dumps(merged, indent=2))


def _fit_confidence(
    config: ml_collections.ConfigDict,
    evaluator: Evaluator,
    variables: Any,
    evaluation: Evaluation,
) -> Confidence:
    return fit_confidence(
        config,
        evaluation.answers,
        evaluation.images,
        evaluator.manifest.split("train").index,
        lambda image_ids: evaluator.answers(variables, image_ids, is_plain=True),
    )


def _tta_gain(config: ml_collections.ConfigDict, evaluation: Evaluation) -> dict[str, Any]:
    """Compares the mean over views with the image as it is, by the headline metric."""
    kind, name = config.data.label_kind, headline_metric(config)
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    plain = np.array([answer.views[0] for answer in evaluation.answers if not answer.error])
    before = None
    if len(plain):
        before = compute_metrics(kind, plain, labels, pairs=evaluation.pairs)[name]
    after = evaluation.metrics.get(name)
    gain = None
    if before is not None and after is not None:
        gain = before - after if name in LOWER_IS_BETTER else after - before
    figures = {"metric": name, "plain": before, "tta": after, "gain": gain}
    say("val, mean over views: " + format_figures({key: figures[key] for key in list(figures)[1:]})
        + f" in {name}")  # fmt: skip
    return figures
