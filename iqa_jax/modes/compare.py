"""Trains every fusion on the same splits and says which differ: `--mode=compare`.

split_<k>/<fusion>/, as `study` says
comparison.csv  comparison.json  comparison.png
"""

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.bootstrap import DRAWS, FEW_GROUPS
from iqa_jax.analysis.comparison import (
    RESAMPLED,
    Compared,
    SplitAnswers,
    compare_members,
    draw_comparison,
)
from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.evaluation.evaluation import Evaluation, calibrate_evaluation
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.evaluation.fitting import fit_on_val
from iqa_jax.host.progress import meter, say
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_run
from iqa_jax.run.config import copy_config, headline_metric, kind_from_config
from iqa_jax.run.rules import share_problems, study_problems
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.trained_run import TrainedRun
from iqa_jax.studies.study import Stopped, check_split, run_study
from iqa_jax.training.data import TrainingData
from iqa_jax.training.training_error import TrainingError

REFERENCE = "mean_embedding"


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
    configs, home = _configs(config), Workdir(folder)
    with home.sole_writer("--mode=compare"):
        try:
            answers = run_study(configs, home.folder, _test)
        except Stopped as stopped:
            return 128 + stopped.number
        _write(config, home.folder, answers, command)
    return 0


def _test(run: TrainedRun, data: TrainingData, workdir: Workdir) -> Evaluation:
    """Tests the calibrated answers, for the sake of metrics that look at more than their order."""
    evaluator = evaluator_from_config(
        workdir.config(), data.manifest, data.source, data.features, data.embeddings
    )
    evaluate = partial(evaluator, run.variables)
    if run.kind.has_classes:
        has_val = "val" in data.manifest.splits
        fit_on_val(workdir, run.kind, evaluate("val") if has_val else None, run.step)
        run = run.refitted(workdir)
    return calibrate_evaluation(evaluate("test"), run.calibration)


def _configs(config: ml_collections.ConfigDict) -> list[dict[str, ml_collections.ConfigDict]]:
    """Makes the config of every run: for each split, fusion -> config."""
    compare = config.compare
    check_run(config)
    kind, problems = kind_from_config(config), study_problems(config)
    if REFERENCE not in compare.fusions:
        problems.append(f"compare.fusions lacks {REFERENCE}, which the others are compared with")
    if kind.is_of_pairs:
        problems.append(f"fusions are compared by labels of images, which {kind.name} has not")
    if compare.splits < 1:
        problems.append(f"compare.splits is {compare.splits}; it must be 1 or more")
    needed = (*build.needed_splits_from_config(config), "test")
    problems += share_problems("compare.fractions", compare.fractions, needed=needed)
    if config.bags.tiles == 1:
        problems.append(
            "bags.tiles is 1: a fusion of one tile has nothing to fuse; set it to 16, say"
        )
    whole = "all"
    manifest = build.manifest_from_config(config, whole="" if config.data.split_rows else whole)
    is_split = manifest.splits != (whole,)
    if is_split and "test" not in manifest.splits:
        problems.append(
            f"{config.data.split_rows or config.data.manifest} has no split 'test', which fusions "
            f"are compared on; its splits are {', '.join(manifest.splits)}"
        )
    if is_split and compare.splits > 1:
        problems.append(
            f"compare.splits is {compare.splits}, but "
            f"{config.data.split_rows or config.data.manifest} has a column split, which is kept; "
            "set compare.splits=1, or leave the column out to have splits drawn"
        )
    if problems:
        raise ConfigError(problems)
    configs = []
    for number in range(compare.splits):
        fusions = {}
        for fusion in compare.fusions:
            fusions[fusion] = run = copy_config(config)
            run.model.fusion = run.evaluation.fusion = fusion
            if not is_split:
                run.seed, run.data.fractions = config.seed + number, compare.fractions
        # Members of a split train on the same images. No order is right or wrong within one class.
        compared_on = ("test",) if kind.is_undefined_on_one_label else ()
        needed = (*build.needed_splits_from_config(run), *compared_on)
        check_split(build.manifest_from_config(run), needed, number)
        configs.append(fusions)
    return configs


def _write(
    config: ml_collections.ConfigDict, folder: Path, answers: list[dict[str, dict]], command: str
) -> None:
    """Writes and prints what the answers of all splits come to."""
    kind, metric = kind_from_config(config), headline_metric(config)
    late = kind.late_fusions
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
                lambda values, labels: kind.measures(values, labels)[metric],
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
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    Workdir(folder).write_text("comparison.csv", file.getvalue())
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
    if groups < FEW_GROUPS:
        say(
            f"only {groups} groups of images are tested: intervals of so few are too narrow, and "
            "a difference may well be chance"
        )
    say(f"comparison.csv, comparison.json and comparison.png are in {folder}")


def _row(member: str, result: Compared, runs: list[dict]) -> dict[str, Any]:
    """Sums one member up; its time is the median over splits that trained in one go."""
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    figures = result.figures
    if member == REFERENCE:
        verdict = "the reference"
    elif result.is_separated:
        verdict = f"{'better' if result.difference > 0 else 'worse'} than {REFERENCE}"
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
        "difference_low": result.interval[0] if result.interval else None,
        "difference_high": result.interval[1] if result.interval else None,
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
        low, high = row["difference_low"], row["difference_high"]
        interval = "[undefined]" if low is None else f"[{low:+.4f}, {high:+.4f}]"
        lines.append(
            f"{row['fusion']:27} {row['median']:6.4f} {row['mean']:6.4f} "
            f"{'-' if spread is None else f'{spread:.4f}':>6}  {row['difference']:+.4f} "
            f"{interval:18}  "
            f"{row['trainable_parameters']:>10,}  {'-' if seconds is None else f'{seconds:.1f}':>7}"
            f"  {row['verdict']}"
        )
    return "\n".join([*lines, f"Difference: {RESAMPLED}"])
