"""Figures, predictions and a report of a run's splits: `--mode=evaluate`, and a training's end."""

from pathlib import Path
from typing import Any

import ml_collections
import pandas as pd

from input_pipeline.checks.leaks import identify_images
from input_pipeline.extras import MissingExtraError
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.evaluator import Evaluator, evaluator_from_config
from iqa_jax.evaluation.localise import localise
from iqa_jax.evaluation.split_figures import format_splits
from iqa_jax.evaluation.splits import (
    CountSeen,
    EvaluatedSplits,
    add_metrics,
    count_none,
    evaluate_splits,
    format_figures,
)
from iqa_jax.host.progress import say
from iqa_jax.reporting.reported_run import reported_run_from_config
from iqa_jax.run import build
from iqa_jax.run.packed import is_packed
from iqa_jax.run.seen import seen_by
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.explainer import Explainer, explainer_from_config
from iqa_jax.scoring.trained_run import TrainedRun


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
    if split:
        manifest.split(split)  # Before anything is embedded for a split that is not there.
    with output.sole_writer("--mode=evaluate"):
        run = TrainedRun.open(workdir)
        source = build.source_from_config(config, manifest)
        evaluator = _make_evaluator(config, run, manifest, source)
        # Of the images as they are: an evaluator of rankings degrades them.
        count_seen = _seen_counter(workdir, manifest, source) if manifest_path else count_none
        say(f"evaluating the checkpoint of step {run.step}")
        found = evaluate_splits(
            run, workdir, evaluator, _splits_of(evaluator.manifest, split),
            output=output, is_own=not manifest_path, count_seen=count_seen,
        )  # fmt: skip
        report = output.folder / (f"report_{split}.html" if split else "report.html")
        run = found.run
        explainer = explainer_from_config(config, run.detector, run.members, run.calibration or {})
        _add_localisation(config, explainer, found, output, evaluator)
        _write_pages(config, report, explainer, found, workdir, evaluator, command)
        if not manifest_path:
            _write_card(config, workdir, evaluator.manifest, run.step)
        _tell(found, output)
        say(f"metrics.json, predictions and {report.name} are in {output.folder}")
    return found.metrics


def _make_evaluator(
    config: ml_collections.ConfigDict, run: TrainedRun, manifest: Manifest, source: TileSource
) -> Evaluator:
    if "detector" in run.lacks:
        say(run.lacks["detector"])
    embeddings = None
    # Other networks need the pixels anyhow.
    if config.bags.cached and not run.members:
        embeddings = embeddings_from_config(config, run.variables, source)
    return evaluator_from_config(
        config, manifest, source, run.features, embeddings,
        is_thorough=True, detector=run.detector, members=run.members,
    )  # fmt: skip


def _splits_of(manifest: Manifest, split: str) -> list[str]:
    """Names the splits to evaluate: the one that is asked for, or all but `train`."""
    splits = [split] if split else [name for name in manifest.splits if name != "train"]
    if not splits:
        say(
            "there is no split but train: figures on images that were trained on do not tell how "
            "good the scorer is on others"
        )
    return splits or ["train"]


def _add_localisation(
    config: ml_collections.ConfigDict,
    explainer: Explainer,
    found: EvaluatedSplits,
    output: Workdir,
    evaluator: Evaluator,
) -> None:
    """Adds to the figures how well the maps find what is bad, where that is known."""
    run, _, metrics = found
    for name in metrics:
        localisation = localise(
            explainer, run.variables, evaluator.manifest, evaluator.source, run.features, name,
            max_pixels=config.data.max_pixels, threads=config.host.threads,
        )  # fmt: skip
        if localisation:
            metrics[name]["localisation"] = localisation
            add_metrics(output, metrics)


def _write_pages(
    config: ml_collections.ConfigDict,
    path: Path,
    explainer: Explainer,
    found: EvaluatedSplits,
    workdir: Workdir,
    evaluator: Evaluator,
    command: str,
) -> None:
    """Writes the report of all splits."""
    # Imports matplotlib: only a report needs it.
    from iqa_jax.reporting.run_maps import grad_cam_overlays, make_planes
    from iqa_jax.reporting.run_report import write_run_report

    run, evaluations, metrics = found
    source, images = evaluator.source, evaluator.manifest.images
    try:
        planes = make_planes(evaluations, config.seed)
    except MissingExtraError as error:
        say(f"the report is without its map of images. {error}")
        planes = []
    write_run_report(
        path,
        reported_run_from_config(config),
        workdir,
        source,
        evaluations,
        metrics,
        run.thresholds,
        run.step,
        command,
        planes,
        grad_cam_overlays(explainer, run.variables, source, run.features, images),
    )


def _write_card(
    config: ml_collections.ConfigDict, workdir: Workdir, manifest: Manifest, step: int
) -> None:
    from iqa_jax.reporting.run_card import facts_from_config, write_run_card

    facts = facts_from_config(config, step)
    write_run_card(reported_run_from_config(config), facts, workdir, manifest)


def _tell(found: EvaluatedSplits, output: Workdir) -> None:
    """Prints the figures of the splits, and how test and holdout compare."""
    for name, figures in found.metrics.items():
        for fusion, values in figures["fusions"].items():
            say(f"{name:8} {fusion:15} " + format_figures(values))
        if figures["errors"]:
            say(f"{name:8} {figures['errors']} image(s) could not be read: predictions_{name}.csv")
        if odd := sum(bool(answer.warning) for answer in found.evaluations[name].answers):
            say(f"{name:8} {odd} image(s) with a warning: predictions_{name}.csv")
    # With the splits of earlier evaluations of this checkpoint.
    everything = output.read_json("metrics.json")
    for line in format_splits(everything):
        say(line)
    for sentence in everything.get("holdout", {}).get("disagrees_with_test", ()):
        say(f"WARNING: {sentence}")


def _open_manifest(
    workdir: Workdir, config: ml_collections.ConfigDict, manifest_path: str
) -> tuple[Manifest, Workdir]:
    """Reads the manifest to evaluate, and says where results go."""
    if manifest_path:
        manifest = build.manifest_from_config(config, manifest_path, whole="all")
        # Many manifests are called manifest.csv; the digest tells them apart.
        name = f"evaluation_{Path(manifest_path).stem}_{manifest.digest[:8]}"
        # Nobody looks for results where a packed run was unpacked.
        output = Workdir((Path() if is_packed(workdir) else workdir.folder) / name)
        output.folder.mkdir(exist_ok=True)
        return manifest, output
    if is_packed(workdir):
        raise WorkdirError(
            "a run in one file has no images of its own: give --manifest, a table of yours with "
            f"the column {config.data.label_column} of labels."
        )
    about = workdir.read_json("manifest.json")
    manifest = build.recorded_manifest_from_config(config, about)
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


def _seen_counter(workdir: Workdir, manifest: Manifest, source: TileSource) -> CountSeen:
    """Makes what counts the images of another manifest that a run has learnt from."""
    seen = seen_by(workdir)
    for clause in seen.gone:
        say(f"{clause}: whether these images trained this run cannot be told")
    places = set(_places(manifest.images[seen.among(identify_images(manifest, source))]))

    def count(images: pd.DataFrame) -> int | None:
        found = len(places.intersection(_places(images)))
        return None if seen.gone and not found else found

    return count
