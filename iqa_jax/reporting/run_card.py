"""Fills the model card of a run from its config, its manifest and its figures."""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

from input_pipeline.files.file_names import name_text
from input_pipeline.tables.manifest import Manifest
from iqa_jax.reporting.pages.model_card import ModelCard, write_model_card
from iqa_jax.reporting.pages.report import Report, Table
from iqa_jax.reporting.pages.text_tables import comparison_tables, heading
from iqa_jax.reporting.reported_run import ReportedRun
from iqa_jax.reporting.run_report import (
    INTERVAL_NOTE,
    headlines,
    in_order,
    intervals,
    three_class,
    warnings,
)
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir


def write_run_card(
    run: ReportedRun,
    facts: Mapping[str, str],
    workdir: Workdir,
    manifest: Manifest,
) -> None:
    """Writes model_card.md of a run, with the figures of all splits in its metrics.json.

    Args:
        run, workdir, manifest: of the run.
        facts: as `facts_from_config` gives them.
    """
    metrics = workdir.read_json("metrics.json")
    card = run_model_card(run, facts, workdir, manifest, metrics)
    write_model_card(workdir.folder / "model_card.md", card)


def run_model_card(
    run: ReportedRun,
    facts: Mapping[str, str],
    workdir: Workdir,
    manifest: Manifest,
    metrics: Mapping[str, Any],
) -> ModelCard:
    """Gathers what the model card of a run says, all of it from the run itself.

    Args:
        run, workdir, manifest: of the run.
        facts: as `facts_from_config` gives them.
        metrics: all that metrics.json holds of the checkpoint.
    """
    found = intervals(metrics)
    shown = Report(
        title="",
        command="",
        metrics={name: metrics[name]["fusions"] for name in in_order(metrics)},
        headline_fusion=run.headline,
        intervals=found,
        interval_note=INTERVAL_NOTE if found else "",
        three_class=three_class(metrics),
        three_class_intervals=intervals(three_class(metrics)),
    )
    folder = shlex.quote(name_text(workdir.folder))
    return ModelCard(
        name=name_text(workdir.folder.resolve().name),
        purpose=run.kind.purpose,
        use=(
            "Photographs like those of the manifest that it was trained on (counted below). For "
            "others no figure is known before one is measured with the command below.",
            "It answers how good a photograph is and nothing of what it shows.",
        ),
        facts=facts,
        images=_count_images(run, manifest),
        headlines=list(headlines(run, metrics)),
        warnings=list(warnings(metrics)),
        figures=comparison_tables(shown),
        limits=list(_limits(run, manifest, metrics)),
        commands={
            "Score images": f"python main.py --mode=predict --workdir={folder} "
            "--images=FOLDER --output=scores.csv",
            "Measure it on labelled images of your own": "python main.py --mode=evaluate "
            f"--workdir={folder} --manifest=other.csv",
            "From Python": f'python -c "import iqa_jax; '
            f"print(iqa_jax.load_scorer({str(workdir.folder)!r}).score(['photo.jpg']))\"",
        },
        versions=workdir.read_json("versions.json"),
        config_digest=hashlib.sha256(run.settings.encode()).hexdigest(),
        manifest_digest=manifest.digest,
    )


def facts_from_config(config: ml_collections.ConfigDict, step: int) -> dict[str, str]:
    """Tells people what a run is: heading -> fact.

    Args:
        config: of the run.
        step: of its checkpoint.
    """
    return dict(_list_facts_from_config(config, step))


def _list_facts_from_config(
    config: ml_collections.ConfigDict, step: int
) -> Iterator[tuple[str, str]]:
    data, model, tiles = config.data, config.model, config.tiles
    kind = kind_from_config(config)
    yield "Labels", f"{kind.name}, column {kind.column}" if kind.column else kind.name
    cut = f"RGB photographs in tiles of {tiles.size} pixels every {tiles.stride}"
    if tiles.reference_side:
        cut += f", once the shorter side of larger ones is down to {tiles.reference_side}"
    yield "Input", cut
    known = {"imagenet": "ImageNet weights", "none": "random weights"}
    weights = known.get(model.weights, f"the encoder of the run {model.weights}")
    trained = f"its last {model.trainable_layers} convolutions were trained"
    if model.trainable_layers <= 0:
        trained = "all of it was trained" if model.trainable_layers else "it was kept as it was"
    encoder = model.encoder
    if encoder == "mobilenet_v2":
        encoder = f"MobileNetV2 of width {config.encoder.mobilenet_v2.width_multiplier:g}"
    yield "Encoder", f"{encoder}, begun with {weights}; {trained}"
    fusion = f"{heading(config.evaluation.fusion)}; trained with {heading(model.fusion).lower()}"
    if model.weights not in known and model.weights_of == "all":
        fusion += f", which with the head was begun with that of the run {model.weights}"
    yield "Fusion over tiles", fusion
    if model.ensemble:
        runs = ", ".join(model.ensemble)
        yield "Ensemble", f"an answer is the mean of its own and of those of {runs}"
    if config.data.features:
        yield "Features besides the pixels", ", ".join(data.features)
    chosen = "the last"
    if metric := config.early_stopping.metric:
        chosen = f"chosen by {heading(metric)} on val"
    yield "Checkpoint", f"step {step}, {chosen}"


def _count_images(run: ReportedRun, manifest: Manifest) -> Table:
    """Counts images, groups and labels of every split."""
    kind, rows, counts = run.kind, [], {}
    for split in manifest.splits:
        images = manifest.split(split)
        counts = kind.count_labels(images["label"].to_numpy(), images["label_text"].to_numpy())
        rows.append([split, len(images), int(images["group"].nunique()), *counts.values()])
    caption = "The weights were trained on train."
    if run.chosen_by:
        caption += " The checkpoint was chosen on val."
    return Table("", ["Split", "Images", "Groups", *counts], rows, caption)


def _limits(run: ReportedRun, manifest: Manifest, metrics: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The figures are of the images counted above and of no others; other cameras, scenes and "
        "faults were not measured."
    )
    for split in in_order(metrics):
        # Evaluated on a split of another manifest, or of this one before it changed.
        if split in ("train", "val") or split not in manifest.splits:
            continue
        images = manifest.split(split)
        groups = images["group"].nunique()
        if groups < len(images):
            yield (
                f"The {len(images)} images of {split} are of {groups} "
                f"{'group' if groups == 1 else 'groups'}, and images of one group resemble each "
                "other: the figures rest on fewer cases than images."
            )
        if any(value is None for value in metrics[split]["fusions"].get(
            run.headline, {}
        ).values()):  # fmt: skip
            yield f"On {split} some figures are undefined: its images do not determine them."
    if "val" in metrics and run.chosen_by:
        yield "Figures on val flatter: the checkpoint was chosen on it."
    unseen = [name for name in ("test", "holdout") if name not in metrics]
    if unseen:
        yield f"Not measured: {' and '.join(unseen)}."
