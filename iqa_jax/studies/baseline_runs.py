"""Fits the baselines of a protocol inside each of its splits and writes what they answer.

split_<k>/<baseline>/    tested.json, predictions_test.csv, logistic.json, and config.json,
                         manifest.json and seen.csv.gz as in a run, so that compare_runs can pair
                         them
"""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.checks.leaks import identify_images
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.logistic import ScoreMap, fit_score_map
from iqa_jax.host.progress import say
from iqa_jax.run import build
from iqa_jax.run.config import config_to_json, kind_from_config
from iqa_jax.run.key_roles import run_part
from iqa_jax.run.seen import write_seen
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.score_maps import MAP_ROWS
from iqa_jax.studies.baselines import BASELINES
from iqa_jax.studies.baselines.deep_biq import grade_classes
from iqa_jax.studies.baselines.regression import count_folds
from iqa_jax.studies.baselines.rows import Answers, Predict, Rows
from iqa_jax.studies.study import ANSWERS, is_tested, split_folder
from iqa_jax.training.training_error import TrainingError


def check_baselines(
    names: Sequence[str], images: pd.DataFrame, split: np.ndarray, minimum: float, maximum: float
) -> None:
    """Refuses, before anything trains, a split that a baseline cannot be fitted on.

    Args:
        names: of `BASELINES`.
        images: of the manifest.
        split: [image] name of each one's split.
        minimum, maximum: of opinion scores.

    Raises:
        TrainingError: with a sentence.
    """
    fitted_on = images[split != "test"]
    if names:
        count_folds(fitted_on["group"].to_numpy())
    if "deep_biq" in names:
        grade_classes(fitted_on["label"].to_numpy(np.float64), minimum, maximum)


def run_baselines(
    names: Sequence[str],
    configs: Sequence[ml_collections.ConfigDict],
    home: Path,
    tested: tuple[Manifest, TileSource] | None,
) -> list[dict[str, dict[str, Any]]]:
    """Fits every baseline on every split and tests it; what is finished is not done again.

    Baselines choose no checkpoint, so they are fitted on `train` and `val` alike.

    Args:
        names: of `BASELINES`.
        configs: of the recipe's run of each split; they list its rows.
        home: where the splits are.
        tested: another manifest and its images, where that is what is tested on.

    Returns:
        For each split, baseline -> its answers, as `run_study` gives them, and `mapped`.

    Raises:
        TrainingError: nothing can be fitted or tested.
        Stopped: by a signal; the same call goes on.
    """
    if not names:
        return [{} for _ in configs]
    answers, source, known = [], None, None
    for number, config in enumerate(configs):
        manifest = build.manifest_from_config(config)
        # The same images in the same order in every split.
        if source is None:
            source = build.source_from_config(config, manifest)
            known = identify_images(manifest, source)
        known = known.assign(split=manifest.images["split"], manifest=manifest.digest)
        is_test = (manifest.images["split"] == "test").to_numpy()
        train = Rows(manifest, source, np.flatnonzero(~is_test))
        test = Rows(manifest, source, np.flatnonzero(is_test))
        if tested:
            test = Rows(*tested, np.arange(len(tested[0].images)))
        digests = [manifest.digest, tested[0].digest if tested else ""]
        found = {}
        for name in names:
            workdir = Workdir(split_folder(home, number) / name)
            if not is_tested(workdir, run_part(config), digests):
                say(f"split {number + 1} of {len(configs)}, {name}")
                workdir.folder.mkdir(parents=True, exist_ok=True)
                write_seen(workdir, config, known)
                _begin(workdir, train.manifest, config_to_json(config))
                record = _fit_and_test(
                    name,
                    partial(BASELINES[name], config),
                    train,
                    test,
                    workdir,
                    kind=kind_from_config(config),
                    std_column=config.data.label_std_column,
                    seed=config.seed,
                )
                workdir.write_text(ANSWERS, json.dumps({"digests": digests, **record}))
            found[name] = workdir.read_json(ANSWERS)
        answers.append(found)
    return answers


def _begin(workdir: Workdir, manifest: Manifest, settings: str) -> None:
    """Makes a folder look like a run's; what an earlier start answered is gone.

    Args:
        workdir: of the baseline.
        manifest: of the images that it is fitted on.
        settings: the config of the recipe's run, as JSON.
    """
    (workdir.folder / ANSWERS).unlink(missing_ok=True)
    about = {"path": str(manifest.path), "sha256": manifest.digest}
    workdir.write_text("manifest.json", json.dumps(about, indent=2))
    workdir.write_text("config.json", settings)


def _fit_and_test(
    name: str,
    fit: Callable[[Rows, Path], Predict],
    train: Rows,
    test: Rows,
    workdir: Workdir,
    *,
    kind: Kind,
    std_column: str,
    seed: int,
) -> dict[str, Any]:
    start = time.monotonic()
    predict = fit(train, workdir.folder)
    answers = predict(test)
    seconds = time.monotonic() - start
    table = _predictions(kind, test, answers)
    workdir.write_text("predictions_test.csv", table.to_csv(index=False))
    is_answered = np.array([not error for error in answers.errors], bool)
    if not is_answered.any():
        raise TrainingError(f"{workdir.folder}: no image of the split 'test' could be read.")
    scores = answers.scores[is_answered]
    images = test.manifest.images.loc[test.image_ids[is_answered]]
    return {
        "seconds": seconds,
        "names": images["name"].tolist(),
        "labels": images["label"].tolist(),
        "groups": images["group"].tolist(),
        "stds": images[std_column].tolist() if std_column in images else None,
        "values": {name: scores[:, None].tolist()},
        "mapped": _fit_map(name, predict, train, workdir, seed)(scores).tolist(),
    }


def _fit_map(name: str, predict: Predict, train: Rows, workdir: Workdir, seed: int) -> ScoreMap:
    """Fits the map of scores on the split `train`, as the recipe's is, and writes it."""
    ids = np.flatnonzero((train.manifest.images["split"] == "train").to_numpy())
    if len(ids) > MAP_ROWS:
        ids = np.sort(np.random.default_rng(seed).choice(ids, MAP_ROWS, replace=False))
    rows = dataclasses.replace(train, image_ids=ids)
    scores, errors = predict(rows)
    is_answered = np.array([not error for error in errors], bool)
    found = fit_score_map(scores[is_answered], rows.labels[is_answered])
    if found.note:
        say(f"plcc_mapped and rmse_mapped of {name}: {found.note}")
    workdir.write_text("logistic.json", json.dumps({"maps": {name: dataclasses.asdict(found)}}))
    return found


def _predictions(kind: Kind, rows: Rows, answers: Answers) -> pd.DataFrame:
    """Lays answers out as a run's predictions are, in the direction of the labels."""
    images = rows.manifest.images.loc[rows.image_ids]
    scores = kind.written_score(answers.scores[:, None])
    return pd.DataFrame(
        {
            "path": images["name"],
            "label": images["label_text"],
            "group": images["group"],
            "score": scores,
            "error": answers.errors,
        }
    )
