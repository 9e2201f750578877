"""The first lines of a report: what a scorer is for, how good it is, and what to do next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from input_pipeline.files.file_names import name_text
from iqa_jax.reporting.reported_run import ReportedRun

# Figure that a run is judged by -> the figure that people are told, what it says in 100 cases, and
# the value of the figure at which that is never: 0 and, for a correlation of orders, -1.
_TOLD = {
    "auroc": ("auroc", "Of a good and a bad image it gives the good one the higher score", 0.0),
    "srcc": ("krcc", "Of two images that people judge differently it names the better one", -1.0),
    "pair_accuracy": ("pair_accuracy", "Of two images it names the better one", 0.0),
    "accuracy": ("accuracy", "It gives an image its right class", 0.0),
    "quadratic_kappa": ("accuracy", "It gives an image its right grade", 0.0),
}
# Intervals of fewer groups are too narrow.
_FEW_GROUPS = 20


def answer(
    run: ReportedRun,
    folder: Path,
    splits: Sequence[str],
    metrics: Mapping[str, Any],
    has_warnings: bool,
    n_suspects: int,
) -> list[tuple[str, str]]:
    """Says in sentences what the figures of a run come to.

    Args:
        run: what is reported on.
        folder: its workdir.
        splits: in the order in which they are believed: what chose or trained the run comes last.
        metrics: split -> figures, as in `metrics.json`.
        has_warnings: whether the report warns of something.
        n_suspects: labels that it lists to be checked.

    Returns:
        Headings and what stands below each.
    """
    split = splits[0]
    return [
        ("What it is for", run.kind.purpose),
        ("How good it is", " ".join(_how_good(run, split, metrics[split]))),
        (
            "What to do next",
            " ".join(_what_next(folder, split, metrics[split], has_warnings, n_suspects)),
        ),
    ]


def _how_good(run: ReportedRun, split: str, figures: Mapping[str, Any]) -> Iterator[str]:
    metric = run.metric.removeprefix("knn_").removeprefix("linear_probe_")
    name, sentence, never = _TOLD.get(metric, _TOLD["accuracy"])
    value = figures["fusions"].get(figures["fusion"], {}).get(name)
    if value is None:
        yield f"That cannot be told from the images of {split}: see the figures below."
        return
    ends = (figures.get("intervals") or {}).get(name)
    interval = ""
    if ends and None not in ends:
        low, high = (_in_100(end, never) for end in ends)
        interval = f" (95 % interval: {low} to {high})"
    yield f"{sentence} {_in_100(value, never)} times in 100{interval}."
    groups = figures.get("groups")
    of = f" of {groups} groups" if groups is not None else ""
    yield f"Measured on {figures.get('n', 0)} images{of}, the split {split}{_about(split, run)}."


def _in_100(value: float, never: float) -> str:
    share = 100 * (value - never) / (1 - never)
    # One mistake in a thousand is not none.
    return "more than 99" if 99.5 <= share < 100 else f"{share:.0f}"


def _about(split: str, run: ReportedRun) -> str:
    if split == "train":
        return ", which it was trained on: on other images it is worse"
    if split == "val" and run.chosen_by:
        return ", which chose the checkpoint: on other images it is a little worse"
    return ""


def _what_next(
    folder: Path, split: str, figures: Mapping[str, Any], has_warnings: bool, n_suspects: int
) -> Iterator[str]:
    place = shlex.quote(name_text(folder))
    if has_warnings:
        yield "Read the warnings below: they say which figures not to believe."
    if split in ("train", "val"):
        yield (
            "Measure it on images that it has not seen: "
            f"iqa-jax evaluate --workdir={place} --manifest=other.csv."
        )
    if 0 < (figures.get("groups") or 0) < _FEW_GROUPS:
        yield (
            f"{figures['groups']} groups are few, and the interval is too narrow: label images of "
            f"{_FEW_GROUPS} scenes or more and evaluate again before you rely on the figure."
        )
    if n_suspects:
        yield "Look at the labels to check below, and correct those that are wrong."
    yield f"Score new images: iqa-jax FOLDER --workdir={place}."
