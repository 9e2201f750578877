"""Finds tiles whose label is probably wrong, by runs that never saw their group."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.tables.dropped_tiles import PLACE
from input_pipeline.tables.manifest import Manifest, with_splits
from input_pipeline.tables.splits import assign_splits
from iqa_jax.analysis.label_noise import FILTERS, confidence_of
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.run import build
from iqa_jax.run.config import copy_config
from iqa_jax.run.seen import seen_before
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.trained_run import TrainedRun
from iqa_jax.studies.splits import refuse_leaks
from iqa_jax.studies.study import check_split, list_rows, run_study, split_folder
from iqa_jax.training.data import (
    TrainingData,
    TrainingError,
    images_seen_before,
    tile_index_from_config,
)

MEMBER = "run"
JUDGED = "tiles.csv"
_FOLDS = "folds"


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
    splits, configs = draw_folds(manifest, config.noise.folds, config.seed), []
    needed = build.needed_splits_from_config(config)
    for number, split in enumerate(splits):
        named = dict(zip(manifest.images["name"], split, strict=True))
        check_split(with_splits(manifest, named), needed, number)
    # Equal files in two groups would let a fold judge what it has learnt by heart.
    source, before = build.source_from_config(config, manifest), seen_before(config)
    refuse_leaks(manifest, source, splits, images_seen_before(before), None)
    for number, split in enumerate(splits):
        run = copy_config(config)
        listed = list_rows(split_folder(home / _FOLDS, number), manifest, split)
        run.data.split_rows = str(listed)
        configs.append({MEMBER: run})
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
        path = split_folder(folder, number) / MEMBER / JUDGED
        part = pd.read_csv(
            path, dtype=dict.fromkeys(("image", "group", "label"), str), keep_default_na=False
        )
        part.insert(len(PLACE) + 1, "fold", number)
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values([*PLACE], ignore_index=True)


def draw_folds(manifest: Manifest, folds: int, seed: int) -> list[np.ndarray]:
    """Deals the groups of the training images out to so many folds.

    Returns:
        For each fold [image]: `test` where it judges, `train` where it learns, `val` where the
        manifest says so, `unused` for all other images.

    Raises:
        TrainingError: there are too few groups.
    """
    images = manifest.images
    is_train = (images["split"] == "train").to_numpy()
    training = images[is_train]
    shares = {str(number): 1 / folds for number in range(folds)}
    try:
        fold_of = assign_splits(
            training["label"].to_numpy(), training["group"].to_numpy(), shares, seed
        )
    except ValueError as error:
        raise TrainingError(f"noise.folds is {folds}: {error}") from error
    splits = []
    for number in shares:
        split = np.where(images["split"] == "val", "val", "unused").astype(object)
        split[is_train] = np.where(fold_of == number, "test", "train")
        splits.append(split)
    return splits


def find_wrong_labels(
    tiles: pd.DataFrame,
    classes: Sequence[str],
    *,
    filter_name: str,
    band: tuple[float, float],
    keep_share: float,
) -> list[str]:
    """Gives the reason for which a filter drops each tile; empty where it does not.

    Args:
        tiles: as `judge_tiles` gives them.
        classes: lowest quality first.
        filter_name: of `FILTERS`.
        band, keep_share: what the filters go by.
    """
    labels = tiles["label"].map({name: number for number, name in enumerate(classes)}).to_numpy()
    probabilities = tiles[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    return FILTERS[filter_name](
        probabilities, labels, classes=classes, band=band, keep_share=keep_share
    )


def _judge(run: TrainedRun, data: TrainingData, workdir: Workdir) -> Evaluation:
    """Writes what a fold says of the tiles that it judges."""
    evaluator = evaluator_from_config(
        workdir.config(), data.manifest, data.source, data.features, data.embeddings
    )
    evaluation = evaluator(run.variables, "test")
    # Marginal images belong to a group, but train nothing.
    images = evaluation.images[evaluation.images["label"] >= 0]
    good = [one for one in evaluation.answers if not one.error and one.image_id in images.index]
    index = tile_index_from_config(workdir.config(), data.source, [one.image_id for one in good])
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
                    **{f"p_{name}": values[:, k] for k, name in enumerate(run.kind.classes)},
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    workdir.write_text(JUDGED, table.to_csv(index=False))
    return evaluation


def list_dropped(folder: Path, dropped: pd.DataFrame) -> Path:
    """Writes the table of dropped tiles into the folder of its filter.

    Raises:
        WorkdirError: a run in that folder has been trained on another table.
    """
    path, columns = folder / "dropped_tiles.csv", [*PLACE, "label", "confidence", "reason"]
    text = dropped[columns].to_csv(index=False)
    if path.exists() and path.read_text(encoding="utf-8") != text and (folder / MEMBER).exists():
        raise WorkdirError(
            f"{path} lists other tiles than are found now: noise.band or noise.keep_share was "
            f"another. Give another --workdir, or move {folder} away to train on the new list."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return Workdir(folder).write_text(path.name, text).absolute()
