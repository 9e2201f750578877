"""Compares two runs on the images that both predicted: `--mode=compare_runs`.

Works on predictions_<split>.csv, so it trains and scores nothing.
"""

import json
from typing import Any

import ml_collections

from iqa_jax.evaluation.paired import PAIRED, compare_split
from iqa_jax.host.progress import say
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.seen import FITTED_SPLITS
from iqa_jax.run.workdir import Workdir, WorkdirError


def compare_runs(workdir: Workdir, other: Workdir, command: str = "") -> int:
    """Compares the headline answers of two runs, split by split, and writes what it finds.

    Args:
        workdir: of run A.
        other: of run B.
        command: how it was started, for the record.

    Returns:
        The exit status, 0.

    Raises:
        WorkdirError: one is no run, they have no rows in common, or the rows differ in their label
            or group.
    """
    configs = workdir.config(), other.config()
    _check_kinds(workdir, other, configs)
    kinds = kind_from_config(configs[0]), kind_from_config(configs[1])
    splits = [name for name in _predicted(workdir) if name in _predicted(other)]
    if not splits:
        raise WorkdirError(
            f"{workdir.folder} and {other.folder} have no predictions_<split>.csv of the same "
            f"split, {' and '.join(FITTED_SPLITS)} apart; run --mode=evaluate on both."
        )
    record: dict[str, Any] = {
        "a": str(workdir.folder),
        "b": str(other.folder),
        "command": command,
        "interval": PAIRED,
        "splits": {},
    }
    for split in splits:
        record["splits"][split] = compare_split(split, workdir, other, kinds)
    name = f"compared_with_{other.folder.resolve().name}.json"
    workdir.write_text(name, json.dumps(record, indent=2))
    say(f"{name} is in {workdir.folder}")
    return 0


def _check_kinds(
    workdir: Workdir, other: Workdir, configs: tuple[ml_collections.ConfigDict, ...]
) -> None:
    kind = kind_from_config(configs[0])
    if kind.is_of_pairs:
        raise WorkdirError(f"runs are compared by the labels of images, which {kind.name} has not.")
    for key in ("label_kind", "classes", "minimum", "maximum", "higher_is_better"):
        is_read = key == "label_kind" or key in kind.asks
        ours, theirs = (config.data[key] for config in configs)
        if is_read and ours != theirs:
            raise WorkdirError(
                f"data.{key} is {ours!r} in {workdir.folder} and {theirs!r} in {other.folder}: "
                "their labels do not mean the same."
            )


def _predicted(workdir: Workdir) -> list[str]:
    names = [path.stem.removeprefix("predictions_") for path in
             sorted(workdir.folder.glob("predictions_*.csv"))]  # fmt: skip
    return [name for name in names if name not in FITTED_SPLITS]
