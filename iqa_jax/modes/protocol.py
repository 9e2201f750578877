"""Trains and tests a recipe on many splits, and says how sure its figures are: `--mode=protocol`.

split_<k>/run/, split_<k>/rows.csv    as `study` says
test_rows.csv                         what is tested, where it is another manifest
split_<k>/<baseline>/                 as `studies.baseline_runs` says
protocol.json  protocol.csv
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from input_pipeline.tables.manifest import Manifest, with_splits
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.evaluation.splits import evaluate_splits
from iqa_jax.host.progress import say
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_run
from iqa_jax.run.config import copy_config, kind_from_config
from iqa_jax.run.rules import share_problems, study_problems
from iqa_jax.run.seen import seen_before
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.trained_run import TrainedRun
from iqa_jax.studies.baseline_runs import check_baselines, run_baselines
from iqa_jax.studies.baselines import BASELINES, TRAINED
from iqa_jax.studies.protocol_figures import KINDS, MEMBER, write_figures
from iqa_jax.studies.splits import draw_splits, refuse_leaks
from iqa_jax.studies.study import (
    Stopped,
    check_split,
    format_rows,
    list_rows,
    run_study,
    split_folder,
)
from iqa_jax.training.data import TrainingData, images_seen_before


@dataclasses.dataclass(frozen=True)
class _Tested:
    """Another manifest, all of it to be tested on."""

    manifest: Manifest
    source: TileSource

    def __call__(self, run: TrainedRun, data: TrainingData, workdir: Workdir) -> Evaluation:
        _test_own(run, data, workdir, ())
        run, embeddings = run.refitted(workdir), None
        if data.embeddings is not None:
            embeddings = embeddings_from_config(workdir.config(), run.variables, self.source)
        evaluator = evaluator_from_config(
            workdir.config(), self.manifest, self.source, data.features, embeddings
        )
        found = evaluate_splits(run, workdir, evaluator, ["test"], output=workdir, is_own=False)
        return found.evaluations["test"]


def run_protocol(config: ml_collections.ConfigDict, folder: str, command: str) -> int:
    """Trains a recipe on every split of a protocol and tests it on rows it never saw.

    Everything that is fitted (the checkpoint's choice, calibration, thresholds, score map) is
    fitted inside the split. What is finished is not trained again.

    Args:
        config: of the runs.
        folder: where everything goes.
        command: how it was started, for protocol.json.

    Returns:
        The exit status: 0, or 128 + the signal that stopped it.

    Raises:
        ConfigError, ManifestError, WorkdirError, TrainingError, CheckpointError: with a sentence.
    """
    _check(config)
    with Workdir(folder).sole_writer("--mode=protocol"):
        return _run_protocol(config, Path(folder), command)


def _run_protocol(config: ml_collections.ConfigDict, home: Path, command: str) -> int:
    whole = _read_whole(config, config.data.manifest, "all")
    say(f"{len(whole.images)} images of {config.data.manifest}; splits are drawn from all of them, "
        "whatever its column split may say")  # fmt: skip
    tested = None
    if config.protocol.kind == "cross_dataset":
        manifest = _read_whole(config, config.protocol.test_manifest, "test")
        tested = _Tested(manifest, build.source_from_config(config, manifest))
    protocol, data = config.protocol, config.data
    splits = list(
        draw_splits(
            whole.images,
            protocol.kind,
            splits=protocol.splits,
            fractions=protocol.fractions,
            seed=config.seed,
        )
    )
    needed = build.needed_splits_from_config(config)
    for number, split in enumerate(splits):
        named = dict(zip(whole.images["name"], split, strict=True))
        check_split(with_splits(whole, named), needed, number)
        check_baselines(protocol.baselines, whole.images, split, data.minimum, data.maximum)
    other = (tested.manifest, tested.source) if tested else None
    before = images_seen_before(seen_before(config))
    refuse_leaks(whole, build.source_from_config(config, whole), splits, before, other)
    configs = []
    for number, split in enumerate(splits):
        run = copy_config(config)
        run.seed = config.seed + number
        run.data.split_rows = str(list_rows(split_folder(home, number), whole, split))
        configs.append({MEMBER: run})
    if tested:
        Workdir(home).write_text("test_rows.csv", format_rows(tested.manifest))
    try:
        answers = run_study(
            configs, home, tested or _test_own, tested.manifest.digest if tested else ""
        )
        baselines = run_baselines(
            protocol.baselines,
            [members[MEMBER] for members in configs],
            home,
            other,
        )
    except Stopped as stopped:
        return 128 + stopped.number
    runs = [split[MEMBER] for split in answers]
    write_figures(
        home,
        runs,
        splits,
        protocol=protocol.kind,
        kind=kind_from_config(config),
        headline=config.evaluation.fusion,
        seed=config.seed,
        command=command,
        baselines=baselines,
    )
    return 0


def _check(config: ml_collections.ConfigDict) -> None:
    protocol, problems = config.protocol, study_problems(config)
    check_run(config)
    if protocol.kind not in KINDS:
        problems.append(f'protocol.kind is "{protocol.kind}"; the choices are {", ".join(KINDS)}')
    if protocol.splits < (2 if protocol.kind == "k_fold" else 1):
        problems.append(f"protocol.splits is {protocol.splits}; that is too few")
    shares = protocol.fractions
    if wrong := share_problems("protocol.fractions", shares, needed=("train", "test")):
        problems += wrong
    elif not shares[1] and config.early_stopping.metric:
        problems.append(
            "protocol.fractions leaves nothing for val, where early_stopping.metric is read off"
        )
    if bool(protocol.test_manifest) != (protocol.kind == "cross_dataset"):
        problems.append('protocol.test_manifest goes with protocol.kind "cross_dataset"')
    kind = kind_from_config(config)
    if kind.is_of_pairs:
        problems.append(f"a protocol tests labels of images, which {kind.name} has not")
    unknown = [name for name in protocol.baselines if name not in BASELINES]
    if unknown:
        problems.append(
            f'protocol.baselines has "{unknown[0]}"; the choices are {", ".join(BASELINES)}'
        )
    if protocol.baselines and not kind.has_scale:
        problems.append(
            "protocol.baselines predict opinion scores; leave it empty for data.label_kind "
            f'"{kind.name}"'
        )
    for name in protocol.baselines:
        if name in TRAINED:
            problems += [f"{name}: {line}" for line in _problems_of(TRAINED[name], config)]
    if config.data.split_rows:
        problems.append("data.split_rows gives one split; a protocol draws its own")
    if problems:
        raise ConfigError(problems)


def _problems_of(
    make: Callable[[ml_collections.ConfigDict], Any], config: ml_collections.ConfigDict
) -> list[str]:
    try:
        make(config)
    except ConfigError as error:
        return error.problems
    return []


def _read_whole(config: ml_collections.ConfigDict, path: str, name: str) -> Manifest:
    """Reads a manifest as one split, whatever it says of splits."""
    manifest = build.manifest_from_config(config, path, whole=name)
    return with_splits(manifest, dict.fromkeys(manifest.images["name"], name))


def _test_own(
    run: TrainedRun, data: TrainingData, workdir: Workdir, tested: Sequence[str] = ("test",)
) -> Evaluation | None:
    """Fits what answers need inside the split, and tests on the split's own rows."""
    evaluator = evaluator_from_config(
        workdir.config(), data.manifest, data.source, data.features, data.embeddings
    )
    names = [name for name in data.manifest.splits if name == "val" or name in tested]
    found = evaluate_splits(run, workdir, evaluator, names, output=workdir)
    return found.evaluations.get("test")
