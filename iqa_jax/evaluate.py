"""The evaluator: used by the train loop and by `--mode=evaluate`, so their figures agree.

One prediction per image is gathered and every metric is computed once over all of them.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.bags import whole_bags
from input_pipeline.embeddings import embedded_bags
from input_pipeline.features import FeatureTable
from input_pipeline.manifest import Manifest
from input_pipeline.sources import TileSource
from iqa_jax import setup
from iqa_jax.analysis.answers import label_of, score_of, written_score
from iqa_jax.analysis.late_fusion import fit_thresholds, three_class
from iqa_jax.analysis.metrics import (
    binary_metrics,
    class_metrics,
    decision_metrics,
    score_metrics,
)
from iqa_jax.embed import CachedEmbeddings, cache_embeddings
from iqa_jax.progress import meter, say
from iqa_jax.scorer import Answered, scorer_from_config
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
    """

    answers: list[Answered]
    images: pd.DataFrame
    metrics: dict[str, Any]

    @property
    def is_answered(self) -> np.ndarray:
        return np.array([not answer.error for answer in self.answers], bool)

    def values(self, fusion: str) -> np.ndarray:
        """Gives one fusion's values of the images without error, [image, values]."""
        return np.array([a.values[fusion] for a in self.answers if not a.error])


class Evaluator:
    """Evaluates parameters on the splits of one manifest."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        manifest: Manifest,
        source: TileSource,
        features: FeatureTable,
        embeddings: CachedEmbeddings | None = None,
    ):
        self._embeddings = embeddings
        self._config, self._manifest = config, manifest
        self._source, self._features = source, features
        self._scorer = scorer_from_config(config)

    def __call__(self, variables: Any, split: str) -> Evaluation:
        """Scores every image of a split and computes its metrics."""
        config, images = self._config, self._manifest.split(split)
        which = (self._source, images.index, self._features, self._manifest.images)
        if self._embeddings is not None:
            bags = embedded_bags(self._embeddings, *which)
        else:
            bags = whole_bags(*which, threads=config.data.threads)
        answers = []
        with meter(f"evaluating {split}", len(images)) as progress:
            for answer in self._scorer.score(variables, bags):
                answers.append(answer)
                progress.update(len(answers))
        is_answered = np.array([not answer.error for answer in answers])
        labels = images["label"].to_numpy()[is_answered]
        good = [answer for answer in answers if not answer.error]
        fusions = {}
        for fusion in good[0].values if good else ():
            values = np.array([answer.values[fusion] for answer in good])
            fusions[fusion] = compute_metrics(config.data.label_kind, values, labels)
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
        )


def compute_metrics(kind: str, values: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Computes the metrics of a label kind over images; marginal ones have no binary label."""
    if kind == "numeric":
        return score_metrics(score_of(values, kind), labels)
    values, labels = values[labels >= 0], labels[labels >= 0]
    if kind == "binary":
        return binary_metrics(score_of(values, kind), labels)
    return class_metrics(values, labels, kind == "ordered")


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
    evaluator = Evaluator(config, manifest, source, workdir.features(), embeddings)
    say(f"evaluating the checkpoint of step {step}")
    splits = [split] if split else [name for name in manifest.splits if name != "train"]
    if not splits:
        say("there is no split but train: its figures say how well it was learnt, no more")
        splits = ["train"]
    seen = _names_seen(workdir, config) if manifest_path else set()
    is_three_class = config.data.label_kind == "binary" and config.data.marginal
    evaluations, metrics = {}, {}
    # `val` comes first. What is scored is written at once: a later split may be interrupted.
    for name in splits:
        evaluation = evaluations[name] = evaluator(variables, name)
        is_fitted_on = name == "val" and not manifest_path
        if is_three_class and is_fitted_on:
            _fit_three_class(workdir, config, evaluation, step)
        thresholds = workdir.thresholds(step)
        metrics[name] = {"step": step, **evaluation.metrics}
        if overlap := len(seen.intersection(_places(evaluation.images))):
            metrics[name]["seen_in_training"] = overlap
            say(f"WARNING: {overlap} images of {name} trained this run or chose its checkpoint; "
                "its figures flatter")  # fmt: skip
        # No figure on rows that the thresholds were fitted on.
        if thresholds and not is_fitted_on and not overlap and evaluation.is_answered.any():
            metrics[name]["three_class"] = _three_class_metrics(config, evaluation, thresholds)
        table = prediction_table(config, evaluation, thresholds)
        table.to_csv(output.folder / f"predictions_{name}.csv", index=False)
        _add_metrics(output, metrics)

    # Imports matplotlib: only a report needs it.
    from iqa_jax.evaluation_report import write_run_report
    from iqa_jax.model_card import write_run_card

    report = output.folder / (f"report_{split}.html" if split else "report.html")
    write_run_report(
        report, config, workdir, source, evaluations, metrics, thresholds, step, command
    )
    if not manifest_path:
        write_run_card(config, workdir, manifest, step)
    for name, figures in metrics.items():
        for fusion, values in figures["fusions"].items():
            say(f"{name:8} {fusion:15} " + format_figures(values))
        if figures["errors"]:
            say(f"{name:8} {figures['errors']} image(s) could not be read: predictions_{name}.csv")
    say(f"metrics.json, predictions and {report.name} are in {output.folder}")
    return metrics


def format_figures(figures: dict[str, Any]) -> str:
    """Writes the single figures of a metrics dict on one line."""
    return "  ".join(
        f"{name} {'undefined' if value is None else f'{value:.4g}'}"
        for name, value in figures.items()
        if not isinstance(value, list)
    )


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
    output.write_text("metrics.json", json.dumps({**known, **metrics}, indent=2))


def _grades(evaluation: Evaluation) -> np.ndarray:
    """Gives binary labels with the marginal ones between: 0 bad, 1 marginal, 2 good."""
    labels = evaluation.images["label"].to_numpy()[evaluation.is_answered]
    return np.choose(labels + 1, (1, 0, 2))


def _fit_three_class(
    workdir: Workdir, config: ml_collections.ConfigDict, evaluation: Evaluation, step: int
) -> None:
    """Fits the thresholds on `val`, whose rows no reported three-class figure is scored on."""
    grades = _grades(evaluation)
    if not (grades == 1).any():
        return
    scores = score_of(evaluation.values(config.evaluation.fusion), "binary")
    low, high = fit_thresholds(scores, grades)
    workdir.write_text("thresholds.json", json.dumps({"step": step, "low": low, "high": high}))


def _three_class_metrics(
    config: ml_collections.ConfigDict, evaluation: Evaluation, thresholds: tuple[float, float]
) -> dict[str, Any]:
    scores = score_of(evaluation.values(config.evaluation.fusion), "binary")
    return decision_metrics(
        three_class(scores, *thresholds), _grades(evaluation), 3, is_ordered=True
    )


def prediction_table(
    config: ml_collections.ConfigDict,
    evaluation: Evaluation,
    thresholds: tuple[float, float] | None,
) -> pd.DataFrame:
    """Lays an evaluation out as one row per image: truth, answer, every fusion's score."""
    rows = []
    for answer, (_, image) in zip(evaluation.answers, evaluation.images.iterrows(), strict=True):
        row = {"path": image["name"], "label": image["label_text"], "group": image["group"]}
        row |= answer_row(config, answer, thresholds)
        row |= {
            f"score_{fusion}": _written_score(config, values)
            for fusion, values in answer.values.items()
        }
        rows.append(row)
    return pd.DataFrame(rows)


def answer_row(
    config: ml_collections.ConfigDict, answer: Answered, thresholds: tuple[float, float] | None
) -> dict[str, Any]:
    """Gives the columns that say what the headline fusion answers for one image."""
    data = config.data
    if answer.error:
        return {"score": None, "predicted": None, "tiles": 0, "error": answer.error}
    values = answer.values[config.evaluation.fusion]
    row: dict[str, Any] = {
        "score": _written_score(config, values),
        "predicted": label_of(values, data.label_kind, data.classes, data.marginal, thresholds),
    }
    if data.label_kind != "numeric":
        row |= {f"p_{name}": float(p) for name, p in zip(data.classes, values, strict=True)}
    return row | {"tiles": len(answer.tile_values), "error": ""}


def _written_score(config: ml_collections.ConfigDict, values: np.ndarray) -> float:
    data = config.data
    score = written_score(
        values, data.label_kind, data.minimum, data.maximum, data.higher_is_better
    )
    return float(score)
