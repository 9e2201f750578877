"""Several runs on several splits, each trained and tested once: what compare and protocol share.

split_<k>/audit.txt           of the images as split k has them
split_<k>/rows.csv            which image is in which split: name, group, split
split_<k>/<member>/           a workdir like any other, and its answers: tested.json
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from input_pipeline.checks.split_checks import check_split_contents
from input_pipeline.tables.manifest import Manifest, with_splits
from iqa_jax.analysis.kinds import fusions_for
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.host.progress import say
from iqa_jax.learning.state import partition
from iqa_jax.run import build
from iqa_jax.run.checks import check_config
from iqa_jax.run.key_roles import run_part
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.trained_run import TrainedRun
from iqa_jax.training.data import TrainingData, prepare_training
from iqa_jax.training.loop import fit
from iqa_jax.training.training_error import TrainingError

ANSWERS = "tested.json"

# (run, its data, its workdir) -> the evaluation of the test images.
Test = Callable[[TrainedRun, TrainingData, Workdir], Evaluation]


class Stopped(Exception):
    """A signal ended a training; `number` is the signal's."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(number)


def split_folder(folder: Path, number: int) -> Path:
    """Names the folder of one split."""
    return folder / f"split_{number}"


def check_split(manifest: Manifest, needed: Sequence[str], number: int) -> None:
    """Refuses a split that cannot be trained on, before another one has trained for hours.

    Args:
        manifest: of the images, in the splits of this one.
        needed: splits that must hold every class.
        number: of the split.

    Raises:
        TrainingError: with every problem.
    """
    problems = check_split_contents(manifest, needed)
    if problems:
        raise TrainingError(
            f"split {number} cannot be used:\n" + "\n".join(f"  {line}" for line in problems)
        )


def run_study(
    splits: Sequence[Mapping[str, ml_collections.ConfigDict]],
    folder: Path,
    test: Test,
    tested_digest: str = "",
) -> list[dict[str, dict[str, Any]]]:
    """Trains and tests every member on every split; what is finished is not done again.

    Args:
        splits: for each split, member -> config of its run.
        folder: where everything goes.
        test: tests one run.
        tested_digest: of the manifest that is tested on, where it is another one.

    Returns:
        For each split, member -> its answers: `names`, `labels`, `groups` and `stds` (None without
        a column) of the images, `values` (fusion -> [image, values]), `trainable_parameters` and
        `seconds` (None if the training was interrupted).

    Raises:
        Stopped: by a signal; the same call goes on.
        ConfigError, WorkdirError, ManifestError, TrainingError, CheckpointError: with a sentence.
    """
    for members in splits:
        for config in members.values():
            check_config(config)
    answers = []
    for number, members in enumerate(splits):
        home, data = Workdir(split_folder(folder, number)), None
        for member, config in members.items():
            workdir = Workdir(home.folder / member)
            manifest = build.manifest_from_config(config)
            digests = [manifest.digest, tested_digest]
            if is_tested(workdir, run_part(config), digests):
                continue
            say(f"split {number + 1} of {len(splits)}, {member}")
            (workdir.folder / ANSWERS).unlink(missing_ok=True)
            with workdir.sole_writer("a study of many runs"):
                workdir.open_for_training(config, manifest)
                # Members share what a split trains on, its audit and its embeddings too.
                data = data or prepare_training(config, manifest, home)
                home.write_text("rows.csv", format_rows(manifest))
                record = _train_and_test(config, data, workdir, test)
                workdir.write_text(ANSWERS, json.dumps({"digests": digests, **record}))
        answers.append(
            {member: Workdir(home.folder / member).read_json(ANSWERS) for member in members}
        )
    return answers


def list_rows(folder: Path, manifest: Manifest, split: np.ndarray) -> Path:
    """Writes which image is in which split into the folder of a split, unless that is written.

    Args:
        folder: of the split.
        manifest: of the images.
        split: [image] name of each one's split.

    Raises:
        WorkdirError: another list is there.
    """
    named = with_splits(manifest, dict(zip(manifest.images["name"], split, strict=True)))
    path, rows = folder / "rows.csv", format_rows(named)
    if path.exists() and path.read_text() != rows:
        raise WorkdirError(
            f"{path} lists other splits than are drawn now: the manifest, the seed or what says "
            "how to draw was another. Give another --workdir."
        )
    folder.mkdir(parents=True, exist_ok=True)
    Workdir(folder).write_text(path.name, rows)
    return path.absolute()


def format_rows(manifest: Manifest) -> str:
    """Lists which image is in which split, as `data.split_rows` reads it."""
    return manifest.images[["name", "group", "split"]].to_csv(index=False)


def is_tested(workdir: Workdir, part: Mapping[str, Any], digests: list[str]) -> bool:
    """Says whether a member has its answers, as the run that it is to be on these manifests.

    Args:
        workdir: of the member.
        part: of its config, as `run_part` gives it.
        digests: of the manifests.
    """
    if not (workdir.folder / ANSWERS).exists():
        return False
    return run_part(workdir.config()) == part and workdir.read_json(ANSWERS)["digests"] == digests


def _train_and_test(
    config: ml_collections.ConfigDict, data: TrainingData, workdir: Workdir, test: Test
) -> dict[str, Any]:
    """Trains the run of one config, or goes on with it, and tests it."""
    is_new, start = not workdir.last.steps, time.monotonic()
    if stopped_by := fit(config, data, workdir):
        raise Stopped(stopped_by)
    # Of a run that goes on, nobody knows how long the first part took.
    seconds = time.monotonic() - start if is_new else None
    run = TrainedRun.open(workdir)
    tested = test(run, data, workdir)
    if not tested.is_answered.any():
        raise TrainingError(f"{workdir.folder}: no image of the split 'test' could be read.")
    trainable, _ = partition(run.variables["params"], build.is_trainable_from_config(config))
    images, stds = tested.images[tested.is_answered], tested.stds
    return {
        "trainable_parameters": sum(leaf.size for leaf in trainable.values()),
        "seconds": seconds,
        "names": images["name"].tolist(),
        "labels": images["label"].tolist(),
        "groups": images["group"].tolist(),
        "stds": None if stds is None else stds.tolist(),
        "values": {
            fusion: tested.values(fusion).tolist()
            for fusion in fusions_for(config.data.label_kind, config.model.fusion)
        },
    }
