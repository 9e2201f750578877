"""Packs a manifest's images, or their tiles, into a TFDS data set: `--mode=prepare`.

The folder it writes is what `data.manifest` of any later run may name, and gives the same batches
as the manifest it was made from.
"""

import dataclasses
import functools
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_collections
import pandas as pd

from input_pipeline.datasets.records import Plan, finish, is_done, plan_shards, write_shard
from input_pipeline.extras import extra
from input_pipeline.files.prepared import FORMAT, MARK, TABLE, is_prepared, read_mark
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.regions import COLUMN as REGION
from input_pipeline.tables.table_files import ManifestError, read_table
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.host.lock import LOCK, sole_writer
from iqa_jax.host.progress import meter, say
from iqa_jax.modes import SOME_FAILED
from iqa_jax.run import build
from iqa_jax.run.checks import check_config
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import WorkdirError


def prepare(config: ml_collections.ConfigDict, output: str, beam_options: str = "") -> int:
    """Writes the data set, or goes on where a run that was stopped left it.

    Args:
        config: names the manifest, its labels and the tiling.
        output: folder of the data set.
        beam_options: options of an Apache Beam pipeline, whose workers must see the folder; empty
            to work with the threads of this process.

    Returns:
        The exit status: 0, or `SOME_FAILED` if an image was left out, see errors.csv.

    Raises:
        WorkdirError: the folder holds something else.
        MissingExtraError: Beam is not installed.
        ConfigError, ManifestError, ImageError, InUseError: with a sentence.
    """
    if config.data.label_kind in KINDS and kind_from_config(config).is_of_pairs:
        raise ManifestError(
            config.data.manifest,
            [f"only images with labels can be prepared, and {config.data.label_kind} has none"],
        )
    check_config(config)
    if Path(output).is_file():
        raise WorkdirError(f"--output={output} is a file; give a folder.")
    with sole_writer(Path(output), "--mode=prepare"):
        return _prepare(config, output, beam_options)


def _prepare(config: ml_collections.ConfigDict, output: str, beam_options: str) -> int:
    manifest = build.manifest_from_config(config)
    table = _read_cells(manifest)
    plan = _plan_from_config(config, manifest, output)
    about = {
        "format": FORMAT,
        "what": plan.name,
        "tiling": dataclasses.asdict(plan.tiling) if plan.tiling else None,
        "images_per_shard": config.prepare.images_per_shard,
        "label": dataclasses.asdict(manifest.label),
        "features": list(plan.features),
        "max_pixels": plan.max_pixels,
        "manifest_sha256": manifest.digest,
        "cells_sha256": hashlib.sha256(table.to_csv().encode()).hexdigest(),
    }
    about = json.loads(json.dumps(about))  # As it is read back: lists for tuples.
    _claim(Path(output), about)
    if not Path(output, TABLE).is_file():
        names = plan_shards(plan, manifest, table, config.prepare.images_per_shard)
        todo = [name for name in names if not is_done(plan, name)]
        say(f"{len(names) - len(todo)} of {len(names)} shards are there")
        write = functools.partial(write_shard, plan)
        if beam_options:
            _write_with_beam(write, todo, beam_options)
        else:
            _write_with_threads(write, todo, config.host.threads)
        finish(plan, table, names, _describe(plan, manifest), about)
    errors = pd.read_csv(Path(output, "errors.csv"))
    for path, error in errors.head().itertuples(index=False):
        say(f"left out, {path}: {error}")
    left = len(manifest.images) - len(errors)
    say(f"{output}: {left} images, {len(errors)} left out with an error; see errors.csv there. "
        f"Train on it: --config.data.manifest={output}")  # fmt: skip
    return SOME_FAILED if len(errors) else 0


def _read_cells(manifest: Manifest) -> pd.DataFrame:
    """Reads the manifest's own table; masks of regions stay where they are, named absolutely."""
    table = read_table(manifest.path)
    if REGION in table:
        folder = manifest.path.parent
        table[REGION] = [str(folder / name) if name else "" for name in table[REGION]]
    return table


def _plan_from_config(config: ml_collections.ConfigDict, manifest: Manifest, output: str) -> Plan:
    is_cutting = config.prepare.what == "tiles"
    is_tiled = manifest.tiles is not None
    if is_cutting and is_tiled:
        raise ManifestError(
            manifest.path, ["its rows are tiles already cut; set prepare.what to images"]
        )
    odd = [split for split in manifest.splits if not re.fullmatch(r"\w+", split, re.ASCII)]
    if odd:
        raise ManifestError(
            manifest.path,
            [f"TFDS wants splits named by letters, digits and _; rename the split {odd[0]!r}"],
        )
    return Plan(
        folder=str(Path(output).absolute()),
        tiling=build.tiling_from_config(config) if is_cutting else None,
        is_tiled=is_tiled or is_cutting,
        is_numeric=manifest.label.is_numeric,
        features=manifest.feature_names,
        max_pixels=config.data.max_pixels,
    )


def _claim(folder: Path, about: dict) -> None:
    """Makes sure that the folder is empty, or that what it holds is this data set.

    Raises:
        WorkdirError: it is something else.
    """
    if is_prepared(folder):
        before = read_mark(folder)
        differing = [key for key in about if before.get(key) != about[key]]
        if differing:
            raise WorkdirError(
                f"--output={folder} holds another data set ({', '.join(differing)} differ); give "
                "another --output, or delete it."
            )
        return
    if any(path.name != LOCK for path in folder.iterdir()):
        raise WorkdirError(f"--output={folder} is there and is no prepared data set; give another.")
    part = folder / f"{MARK}.part"
    part.write_text(json.dumps(about, indent=2), encoding="utf-8")
    part.replace(folder / MARK)


def _write_with_threads(write: Callable[[str], None], names: Sequence[str], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool, meter("shards", len(names)) as progress:
        for done, _ in enumerate(pool.map(write, names), start=1):
            progress.update(done)


def _write_with_beam(write: Callable[[str], None], names: Sequence[str], options: str) -> None:
    with extra("beam"):
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    with beam.Pipeline(options=PipelineOptions(shlex.split(options))) as pipeline:
        # Without the reshuffle a runner may fuse both steps and write shard by shard.
        _ = pipeline | beam.Create(names) | beam.Reshuffle() | beam.Map(write)


def _describe(plan: Plan, manifest: Manifest) -> str:
    label = manifest.label
    if label.is_numeric:
        direction = "higher" if label.higher_is_better else "lower"
        what = f"opinion scores from {label.minimum:g} to {label.maximum:g}, {direction} is better"
    else:
        what = f"{label.kind} labels, lowest quality first: {', '.join(label.names)}"
    cut = f" of {plan.tiling.size} pixels" if plan.tiling else ""
    return f"Images for quality assessment, as {plan.name}{cut}, with {what}. Made by iqa_jax."
