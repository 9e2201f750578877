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

from pathlib import Path

import ml_collections

from iqa_jax.analysis.label_noise import FILTERS
from iqa_jax.host.progress import say
from iqa_jax.modes.train import train
from iqa_jax.reporting.cleaning import write_cleaning
from iqa_jax.reporting.reported_run import reported_run_from_config
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_run
from iqa_jax.run.config import copy_config, kind_from_config
from iqa_jax.run.key_roles import run_part
from iqa_jax.run.rules import study_problems
from iqa_jax.run.workdir import Workdir
from iqa_jax.studies.label_noise import (
    JUDGED,
    MEMBER,
    find_wrong_labels,
    judge_tiles,
    list_dropped,
    plan_folds,
)
from iqa_jax.studies.study import Stopped

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
    noise = config.noise
    plain, filtered = Workdir(home / "plain"), home / noise.filter
    manifest = build.manifest_from_config(config)
    # Folds that cannot be drawn are refused before anything has trained.
    folds = plan_folds(config, manifest, home)
    if status := _train(config, plain, command):
        return status
    try:
        tiles = judge_tiles(folds, home)
    except Stopped as stopped:
        return 128 + stopped.number
    Workdir(home).write_text(JUDGED, tiles.to_csv(index=False))
    tiles["reason"] = find_wrong_labels(
        tiles,
        tuple(config.data.classes),
        filter_name=noise.filter,
        band=noise.band,
        keep_share=noise.keep_share,
    )
    dropped = tiles[tiles["reason"] != ""]
    say(f"{noise.filter} drops {len(dropped)} of {len(tiles)} training tiles")
    cleaned = None
    table = list_dropped(filtered, dropped)
    if len(dropped):
        cleaned, without = Workdir(filtered / MEMBER), copy_config(config)
        without.data.dropped_tiles = str(table)
        if status := _train(without, cleaned, command):
            return status
    write_cleaning(
        reported_run_from_config(config),
        manifest,
        build.source_from_config(config, manifest),
        tiles,
        filtered,
        cleaned,
        plain,
        filter_name=noise.filter,
        folds=noise.folds,
        command=command,
    )
    return 0


def _train(config: ml_collections.ConfigDict, workdir: Workdir, command: str) -> int:
    """Trains and evaluates a run unless that is done; gives the exit status."""
    done, digest = workdir.folder / _FINISHED, build.manifest_from_config(config).digest
    if (
        done.exists()
        and run_part(workdir.config()) == run_part(config)
        and workdir.read_json("manifest.json")["sha256"] == digest
    ):
        return 0
    say(f"training in {workdir.folder}")
    done.unlink(missing_ok=True)
    return train(config, str(workdir.folder), command)


def _check(config: ml_collections.ConfigDict) -> None:
    noise, problems = config.noise, study_problems(config)
    check_run(config)
    if kind_from_config(config).has_scale:
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
