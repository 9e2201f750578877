"""Trains every fusion on the same splits and says which differ: `--mode=compare`.

split_<k>/audit.txt                 of the images as split k has them
split_<k>/<fusion>/                 a workdir like any other, and its answers: tested.json
comparison.csv  comparison.json  comparison.png
"""

import csv
import json
import time
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from iqa_jax import setup
from iqa_jax.analysis.comparison import (
    DRAWS,
    RESAMPLED,
    Compared,
    SplitAnswers,
    compare_members,
    draw_comparison,
)
from iqa_jax.config import (
    LOWER_IS_BETTER,
    ConfigError,
    check_config,
    fusions_for,
    headline_metric,
)
from iqa_jax.evaluate import Evaluator, compute_metrics
from iqa_jax.learning.sharding import check_batch_size
from iqa_jax.learning.state import partition
from iqa_jax.progress import meter, say
from iqa_jax.train import fit
from iqa_jax.training_data import TrainingData, TrainingError, prepare_training
from iqa_jax.variables import restore_variables
from iqa_jax.workdir import Workdir

REFERENCE = "mean_embedding"
_ANSWERS = "tested.json"
# A bootstrap of fewer groups gives intervals that are too narrow.
_FEW_GROUPS = 20


def compare(config: ml_collections.ConfigDict, folder: str, command: str) -> int:
    """Compares fusions inside the network, and late ones, with the mean embedding.

    Every fusion trains on every split; its checkpoint is chosen on `val` and tested on `test`. The
    late fusions are those of the mean embedding's run. What is finished is not trained again.

    Args:
      config: of the runs, whatever its own fusion.
      folder: where everything goes.
      command: how it was started, for comparison.json.

    Returns:
      The exit status: 0, or 128 + the signal that stopped it.

    Raises:
      ConfigError, ManifestError, WorkdirError, TrainingError, CheckpointError: with a sentence.
    """
    configs = _configs(config)
    answers = []
    for number, fusions in enumerate(configs):
        home = Workdir(Path(folder) / f"split_{number}")
        data = None
        for fusion, run_config in fusions.items():
            workdir = Workdir(home.folder / fusion)
            manifest = setup.manifest_from_config(run_config)
            if _is_tested(workdir, run_config, manifest.digest):
                continue
            say(f"split {number + 1} of {len(configs)}, {fusion}")
            workdir.open_for_training(run_config, manifest)
            # Fusions share what a split trains on, its audit and its embeddings too.
            data = data or prepare_training(run_config, manifest, home)
            stopped_by = _train_and_test(run_config, data, workdir)
            if stopped_by:
                return 128 + stopped_by
        answers.append(
            {fusion: Workdir(home.folder / fusion).read_json(_ANSWERS) for fusion in fusions}
        )
    _write(config, Path(folder), answers, command)
    return 0


def _configs(config: ml_collections.ConfigDict) -> list[dict[str, ml_collections.ConfigDict]]:
    """Makes the config of every run: for each split, fusion -> config."""
    compare = config.compare
    check_config(config)
    check_batch_size(config.batch_size, jax.device_count(), jax.process_count())
    problems = []
    if REFERENCE not in compare.fusions:
        problems.append(f"compare.fusions lacks {REFERENCE}, which the others are compared with")
    if compare.splits < 1:
        problems.append(f"compare.splits is {compare.splits}; it must be 1 or more")
    if len(compare.fractions) != 3:
        problems.append(
            f"compare.fractions is {compare.fractions}; give three shares: train, val, test"
        )
    if config.bags.tiles == 1:
        problems.append(
            "bags.tiles is 1: a fusion of one tile has nothing to fuse; set it to 16, say"
        )
    whole = "all"
    is_split = setup.manifest_from_config(config, whole=whole).splits != (whole,)
    if is_split and compare.splits > 1:
        problems.append(
            f"compare.splits is {compare.splits}, but {config.data.manifest} has a column split, "
            "which is kept; set compare.splits=1, or take the column out to have splits drawn"
        )
    if problems:
        raise ConfigError(problems)
    configs = []
    for number in range(compare.splits):
        fusions = {}
        for fusion in compare.fusions:
            fusions[fusion] = run = ml_collections.ConfigDict(config.to_dict())
            run.model.fusion = run.evaluation.fusion = fusion
            if not is_split:
                run.seed, run.data.fractions = config.seed + number, compare.fractions
            check_config(run)
        configs.append(fusions)
    return configs


def _is_tested(workdir: Workdir, config: ml_collections.ConfigDict, digest: str) -> bool:
    if not (workdir.folder / _ANSWERS).exists():
        return False
    old = workdir.config()
    old.compare = config.compare
    return old.to_dict() == config.to_dict() and (
        workdir.read_json("manifest.json")["sha256"] == digest
    )


def _train_and_test(config: ml_collections.ConfigDict, data: TrainingData, workdir: Workdir) -> int:
    """Trains one fusion on one split and keeps its answers; gives the signal that ended it."""
    (workdir.folder / _ANSWERS).unlink(missing_ok=True)
    is_new, start = not workdir.last.steps, time.monotonic()
    stopped_by = fit(config, data, workdir)
    if stopped_by:
        return stopped_by
    # Of a run that goes on, nobody knows how long the first part took.
    seconds = time.monotonic() - start if is_new else None
    variables, _ = restore_variables(workdir, config)
    evaluator = Evaluator(config, data.manifest, data.source, data.features, data.embeddings)
    tested = evaluator(variables, "test")
    if not tested.is_answered.any():
        raise TrainingError(f"{workdir.folder}: no image of the split 'test' could be read.")
    trainable, _ = partition(variables["params"], setup.is_trainable_from_config(config))
    images = tested.images[tested.is_answered]
    record = {
        "trainable_parameters": sum(leaf.size for leaf in trainable.values()),
        "seconds": seconds,
        "names": images["name"].tolist(),
        "labels": images["label"].tolist(),
        "groups": images["group"].tolist(),
        "values": {
            fusion: tested.values(fusion).tolist()
            for fusion in fusions_for(config.data.label_kind, config.model.fusion)
        },
    }
    workdir.write_text(_ANSWERS, json.dumps(record))
    return 0


def _write(
    config: ml_collections.ConfigDict, folder: Path, answers: list[dict[str, dict]], command: str
) -> None:
    """Writes and prints what the answers of all splits come to."""
    kind, metric = config.data.label_kind, headline_metric(config)
    late = fusions_for(kind, REFERENCE)[:-1]
    source = {fusion: fusion for fusion in config.compare.fusions} | dict.fromkeys(late, REFERENCE)
    splits = [
        SplitAnswers(
            {member: np.array(runs[run]["values"][member]) for member, run in source.items()},
            np.array(runs[REFERENCE]["labels"]),
            np.array(runs[REFERENCE]["groups"]),
        )
        for runs in answers
    ]
    with meter("comparing, draw", DRAWS) as progress:
        try:
            compared = compare_members(
                splits,
                lambda values, labels: compute_metrics(kind, values, labels)[metric],
                REFERENCE,
                is_lower_better=metric in LOWER_IS_BETTER,
                progress=progress.update,
            )
        except ValueError as error:
            raise TrainingError(
                f"{metric}: {error}. Set early_stopping.metric to another one, or add images."
            ) from error
    rows = [
        _row(member, result, [runs[source[member]] for runs in answers])
        for member, result in compared.items()
    ]
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row, result in zip(rows, compared.values(), strict=True):
        row["figures"] = result.figures.tolist()
    groups = len({group for split in splits for group in split.groups})
    record = {
        "metric": metric,
        "reference": REFERENCE,
        "interval": RESAMPLED,
        "test_images": [len(split.labels) for split in splits],
        "test_groups": groups,
        "command": command,
        "members": rows,
    }
    Workdir(folder).write_text("comparison.json", json.dumps(record, indent=2))
    draw_comparison(folder / "comparison.png", compared, REFERENCE, metric)
    say(_format(rows, metric, len(splits)))
    if groups < _FEW_GROUPS:
        say(
            f"only {groups} groups of images are tested: intervals of so few are too narrow, and "
            "what they separate may well be chance"
        )
    say(f"comparison.csv, comparison.json and comparison.png are in {folder}")


def _row(member: str, result: Compared, runs: list[dict]) -> dict[str, Any]:
    """Sums one member up; its time is the median over splits that trained in one go."""
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    figures = result.figures
    if member == REFERENCE:
        verdict = "the reference"
    elif result.is_separated:
        verdict = f"{'better' if result.low > 0 else 'worse'} than {REFERENCE}"
    else:
        verdict = f"not separated from {REFERENCE}"
    return {
        "fusion": member,
        "median": float(np.median(figures)),
        "mean": float(figures.mean()),
        "standard_deviation": float(figures.std(ddof=1)) if len(figures) > 1 else None,
        "lowest": float(figures.min()),
        "highest": float(figures.max()),
        "difference": result.difference,
        "difference_low": result.low,
        "difference_high": result.high,
        "verdict": verdict,
        "trainable_parameters": runs[0]["trainable_parameters"],
        "training_seconds": float(np.median(seconds)) if seconds else None,
    }


def _format(rows: list[dict[str, Any]], metric: str, splits: int) -> str:
    lines = [
        f"test {metric} over {splits} split(s); the difference is above 0 where a fusion is better "
        f"than {REFERENCE}",
        f"{'fusion':27} median   mean     sd  difference [95 % interval]  parameters  seconds",
    ]
    for row in rows:
        spread, seconds = row["standard_deviation"], row["training_seconds"]
        lines.append(
            f"{row['fusion']:27} {row['median']:6.4f} {row['mean']:6.4f} "
            f"{'-' if spread is None else f'{spread:.4f}':>6}  {row['difference']:+.4f} "
            f"[{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]  "
            f"{row['trainable_parameters']:>10,}  {'-' if seconds is None else f'{seconds:.1f}':>7}"
            f"  {row['verdict']}"
        )
    return "\n".join([*lines, f"Difference: {RESAMPLED}"])
