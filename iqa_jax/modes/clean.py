"""Finds training tiles whose label is hardly theirs and trains without them: `--mode=clean`.

A tile inherits its image's label, which a bad region elsewhere in the image may have earned. It is
judged by the network's own probabilities, for calibration is of whole images. What is finished is
not done again; another filter in the same folder shares all but its own part.

plain/                        the recipe on all training tiles: a workdir like any other
folds/split_<k>/              as `study` says; run/tiles.csv has what it says of the tiles it judges
tiles.csv                     every training tile, judged out of fold
<filter>/dropped_tiles.csv    what the filter drops, and why; `data.dropped_tiles` reads it
<filter>/dropped_tiles.png    examples
<filter>/run/                 the recipe on the tiles that are left
<filter>/cleaning.json  <filter>/cleaning.html
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.tables.dropped_tiles import PLACE
from input_pipeline.tables.manifest import Manifest, with_splits
from input_pipeline.tables.splits import assign_splits
from iqa_jax.analysis.label_noise import FILTERS, confidence_of
from iqa_jax.evaluation.evaluator import Evaluation, Evaluator
from iqa_jax.host.progress import say
from iqa_jax.modes.train import train
from iqa_jax.reporting.cleaning import write_cleaning
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_run
from iqa_jax.run.rules import study_problems
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.studies.splits import refuse_leaks
from iqa_jax.studies.study import (
    Stopped,
    check_split,
    list_rows,
    run_study,
    split_folder,
    without_studies,
)
from iqa_jax.training.data import TrainingData, TrainingError, index_images

_MEMBER = "run"
_JUDGED = "tiles.csv"
_FOLDS = "folds"
# What an evaluation writes last.
_FINISHED = "model_card.md"


def clean(config: ml_collections.ConfigDict, folder: str, command: str) -> int:
    """Judges every training tile out of fold, drops those a filter names, and trains again.

    The splits `val` and those that are tested are never filtered, and no fold learns from them;
    `val` chooses the folds' checkpoints as it does the recipe's.

    Args:
      config: of the recipe.
      folder: where everything goes.
      command: how it was started, for the reports.

    Returns:
      The exit status: 0, or 128 + the signal that stopped it.

    Raises:
      ConfigError, ManifestError, WorkdirError, TrainingError, CheckpointError: with a sentence.
    """
    _check(config)
    with Workdir(folder).sole_writer("--mode=clean"):
        return _clean(config, Path(folder), command)


def _clean(config: ml_collections.ConfigDict, home: Path, command: str) -> int:
    plain, filtered = Workdir(home / "plain"), home / config.noise.filter
    manifest = build.manifest_from_config(config)
    # Folds that cannot be drawn are refused before anything has trained.
    folds = plan_folds(config, manifest, home)
    if status := _train(config, plain, command):
        return status
    try:
        tiles = judge_tiles(folds, home)
    except Stopped as stopped:
        return 128 + stopped.number
    Workdir(home).write_text(_JUDGED, tiles.to_csv(index=False))
    tiles["reason"] = find_wrong_labels(config, tiles)
    dropped = tiles[tiles["reason"] != ""]
    say(f"{config.noise.filter} drops {len(dropped)} of {len(tiles)} training tiles")
    cleaned = None
    table = list_dropped(filtered, dropped)
    if len(dropped):
        cleaned, without = Workdir(filtered / _MEMBER), _copy(config)
        without.data.dropped_tiles = str(table)
        if status := _train(without, cleaned, command):
            return status
    write_cleaning(config, manifest, tiles, filtered, cleaned, plain, command)
    return 0


def plan_folds(
    config: ml_collections.ConfigDict, manifest: Manifest, home: Path
) -> list[dict[str, ml_collections.ConfigDict]]:
    """Makes the configs of the folds' runs, and lists which image is where in each.

    Args:
      config: of the recipe.
      manifest: with its splits.
      home: the folds' runs go to `folds` in it.

    Returns:
      For each fold, member -> config, as `run_study` takes them.

    Raises:
      TrainingError: a fold cannot be drawn or trained on, or would judge what it has learnt.
      WorkdirError: the folder lists other folds.
    """
    splits, configs = draw_folds(config, manifest), []
    for number, split in enumerate(splits):
        named = dict(zip(manifest.images["name"], split, strict=True))
        check_split(config, with_splits(manifest, named), number)
    # Equal files in two groups would let a fold judge what it has learnt by heart.
    refuse_leaks(config, manifest, splits, None)
    for number, split in enumerate(splits):
        run = _copy(config)
        listed = list_rows(split_folder(home / _FOLDS, number), manifest, split)
        run.data.split_rows = str(listed)
        configs.append({_MEMBER: run})
    return configs


def judge_tiles(
    folds: Sequence[Mapping[str, ml_collections.ConfigDict]], home: Path
) -> pd.DataFrame:
    """Asks, for every training tile, a run that never saw its group how probable its label is.

    Args:
      folds: as `plan_folds` makes them.
      home: the folds' runs go to `folds` in it.

    Returns:
      `image`, `row`, `column`, `group`, `fold`, `label`, `confidence`: the probability of the
      label, and `p_<class>`.

    Raises:
      Stopped: by a signal; the same call goes on.
      ManifestError, WorkdirError, TrainingError, CheckpointError: with a sentence.
    """
    folder, parts = home / _FOLDS, []
    run_study(folds, folder, _judge)
    parts = []
    for number in range(len(folds)):
        path = split_folder(folder, number) / _MEMBER / _JUDGED
        part = pd.read_csv(
            path, dtype=dict.fromkeys(("image", "group", "label"), str), keep_default_na=False
        )
        part.insert(len(PLACE) + 1, "fold", number)
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values([*PLACE], ignore_index=True)


def draw_folds(config: ml_collections.ConfigDict, manifest: Manifest) -> list[np.ndarray]:
    """Deals the groups of the training images out to folds.

    Returns:
      For each fold [image]: `test` where it judges, `train` where it learns, `val` where the
      manifest says so, `unused` for all other images.

    Raises:
      TrainingError: there are too few groups.
    """
    images, folds = manifest.images, config.noise.folds
    is_train = (images["split"] == "train").to_numpy()
    training = images[is_train]
    shares = {str(number): 1 / folds for number in range(folds)}
    try:
        fold_of = assign_splits(
            training["label"].to_numpy(), training["group"].to_numpy(), shares, config.seed
        )
    except ValueError as error:
        raise TrainingError(f"noise.folds is {folds}: {error}") from error
    splits = []
    for number in shares:
        split = np.where(images["split"] == "val", "val", "unused").astype(object)
        split[is_train] = np.where(fold_of == number, "test", "train")
        splits.append(split)
    return splits


def find_wrong_labels(config: ml_collections.ConfigDict, tiles: pd.DataFrame) -> list[str]:
    """Gives the reason for which `noise.filter` drops each tile; empty where it does not."""
    classes = tuple(config.data.classes)
    labels = tiles["label"].map({name: number for number, name in enumerate(classes)}).to_numpy()
    probabilities = tiles[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    noise = config.noise
    return FILTERS[noise.filter](
        probabilities, labels, classes=classes, band=noise.band, keep_share=noise.keep_share
    )


def _judge(
    config: ml_collections.ConfigDict,
    data: TrainingData,
    workdir: Workdir,
    variables: Any,
    step: int,
) -> Evaluation:
    """Writes what a fold says of the tiles that it judges."""
    evaluator = Evaluator(config, data.manifest, data.source, data.features, data.embeddings)
    evaluation = evaluator(variables, "test")
    # Marginal images belong to a group, but train nothing.
    images = evaluation.images[evaluation.images["label"] >= 0]
    good = [one for one in evaluation.answers if not one.error and one.image_id in images.index]
    index = index_images(config, data.source, [one.image_id for one in good])
    parts = []
    for answer in good:
        numbers = index.number[index.image_id == answer.image_id]
        image, values = images.loc[answer.image_id], answer.tile_values[numbers].astype(np.float64)
        positions = answer.layout.grid.positions[numbers]
        label = np.full(len(numbers), image["label"])
        parts.append(
            pd.DataFrame(
                {
                    **dict(zip(PLACE, (image["name"], *positions.T), strict=True)),
                    "group": image["group"],
                    "label": image["label_text"],
                    "confidence": confidence_of(values, label),
                    **{f"p_{name}": values[:, k] for k, name in enumerate(config.data.classes)},
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    workdir.write_text(_JUDGED, table.to_csv(index=False))
    return evaluation


def _train(config: ml_collections.ConfigDict, workdir: Workdir, command: str) -> int:
    """Trains and evaluates a run unless that is done; gives the exit status."""
    done, digest = workdir.folder / _FINISHED, build.manifest_from_config(config).digest
    if (
        done.exists()
        and without_studies(workdir.config()) == without_studies(config)
        and workdir.read_json("manifest.json")["sha256"] == digest
    ):
        return 0
    say(f"training in {workdir.folder}")
    done.unlink(missing_ok=True)
    return train(config, str(workdir.folder), command)


def list_dropped(folder: Path, dropped: pd.DataFrame) -> Path:
    """Writes the table of dropped tiles into the folder of its filter.

    Raises:
      WorkdirError: a run in that folder has been trained on another table.
    """
    path, columns = folder / "dropped_tiles.csv", [*PLACE, "label", "confidence", "reason"]
    text = dropped[columns].to_csv(index=False)
    if path.exists() and path.read_text(encoding="utf-8") != text and (folder / _MEMBER).exists():
        raise WorkdirError(
            f"{path} lists other tiles than are found now: noise.band or noise.keep_share was "
            f"another. Give another --workdir, or move {folder} away to train on the new list."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return Workdir(folder).write_text(path.name, text).absolute()


def _copy(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(config.to_dict())


def _check(config: ml_collections.ConfigDict) -> None:
    noise, problems = config.noise, study_problems(config)
    check_run(config)
    if config.data.label_kind == "numeric":
        problems.append("--mode=clean needs classes: an opinion score is not right or wrong")
    if noise.filter not in FILTERS:
        problems.append(f'noise.filter is "{noise.filter}"; the choices are {", ".join(FILTERS)}')
    if noise.folds < 2:
        problems.append(f"noise.folds is {noise.folds}; it must be 2 or more")
    if len(noise.band) != 2 or not 0 <= noise.band[0] < noise.band[1] <= 1:
        problems.append(f"noise.band is {noise.band}; give two rising probabilities")
    if not 0 < noise.keep_share <= 1:
        problems.append(f"noise.keep_share is {noise.keep_share}; it must be in (0, 1]")
    if config.data.dropped_tiles:
        problems.append("data.dropped_tiles lists tiles already; --mode=clean makes its own list")
    if problems:
        raise ConfigError(problems)
