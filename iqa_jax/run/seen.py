"""Which images a run has learnt from: its own, and those of the runs that it builds on.

A run builds on the run of its `model.weights` and on those of its `model.ensemble`, and on what
these build on. It keeps the whole list in its workdir, as `seen.csv.gz`: manifests, images and the
other workdirs may go, and it is still known what has been seen. `input_pipeline.checks.leaks` says
when an image is one of them.
"""

import dataclasses
import gzip
import io
import zlib
from collections.abc import Collection
from pathlib import Path

import ml_collections
import numpy as np
import pandas as pd
from jaxtyping import Bool

from input_pipeline.checks.leaks import IDENTITY, find_seen, identify_images
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.host.progress import say
from iqa_jax.run import build
from iqa_jax.run.packed import open_run
from iqa_jax.run.rules import WEIGHTS
from iqa_jax.run.workdir import Workdir, WorkdirError

# Splits that a run learns from, or chooses its checkpoint by.
FITTED_SPLITS = ("train", "val")
FILE = "seen.csv.gz"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a run knows of images, as far as it can be told.

    Attributes:
        rows: as `identify_images`, and `run`: the workdir that learnt from the image, or "" where
            it is in the manifest of the run itself, in whatever split.
        gone: why a part cannot be told, a clause each; empty where all is known.
    """

    rows: pd.DataFrame
    gone: tuple[str, ...] = ()

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows that were learnt from, or chose a checkpoint."""
        return self.rows[self.rows["split"].isin(FITTED_SPLITS)]

    def among(self, images: pd.DataFrame) -> Bool[np.ndarray, " image"]:
        """Says which images were learnt from, by their file, content or group.

        Args:
            images: as `identify_images`.
        """
        return find_seen(self.learnt, images)

    def named(self, names: Collection[str]) -> pd.DataFrame:
        """Gives those rows of the run's own manifest that have one of the names."""
        return self.rows[(self.rows["run"] == "") & self.rows["name"].isin(names)]


def runs_before(config: ml_collections.ConfigDict) -> list[str]:
    """Lists the workdirs that a run with this config builds on."""
    weights = config.model.weights
    return [*config.model.ensemble, *([] if weights in WEIGHTS else [weights])]


def seen_before(config: ml_collections.ConfigDict) -> Seen:
    """Lists what was learnt from by the runs that a run with this config builds on."""
    found = {folder: seen_by(open_run(folder)) for folder in runs_before(config)}
    parts = [
        part.learnt.assign(run=part.learnt["run"].replace("", folder))
        for folder, part in found.items()
    ]
    gone = tuple(clause for part in found.values() for clause in part.gone)
    return Seen(pd.concat([_NOTHING, *parts], ignore_index=True), gone)


def seen_by(workdir: Workdir) -> Seen:
    """Lists what a run knows, from its workdir; from its manifest where that has no list yet."""
    if (workdir.folder / FILE).exists():
        try:
            return Seen(_read(workdir.folder / FILE))
        except (OSError, EOFError, ValueError, zlib.error):
            say(f"{workdir.folder / FILE} is damaged and left out")
    try:
        config, about = workdir.config(), workdir.read_json("manifest.json")
        path = about["path"]
    except (WorkdirError, OSError):
        return Seen(_NOTHING, (f"the run {workdir.folder} is gone",))
    before = seen_before(config)
    try:
        manifest = build.recorded_manifest_from_config(config, about)
        known = identify_images(manifest, build.source_from_config(config, manifest))
    except (ManifestError, OSError) as error:
        why = f"cannot be read any more ({error})" if Path(path).exists() else "is gone"
        return Seen(before.rows, (*before.gone, f"{path}, which trained {workdir.folder}, {why}"))
    return Seen(_join(known, before), before.gone)


def write_seen(workdir: Workdir, config: ml_collections.ConfigDict, known: pd.DataFrame) -> None:
    """Keeps the list of a run in its workdir; one that goes on keeps that it began with.

    Args:
        workdir, config: of the run.
        known: its images, as `identify_images`.
    """
    has_begun = bool(workdir.last.steps or workdir.best.steps)
    if has_begun and (workdir.folder / FILE).exists():
        return
    workdir.write_bytes(FILE, _pack(_join(known, seen_before(config))))


def seen_without_places(workdir: Workdir) -> bytes:
    """Gives the list of a run as it is kept, but for where its images and other runs lay.

    What is learnt is known by its content all the same.
    """
    rows = seen_by(workdir).rows
    runs = [Path(run).name for run in rows["run"]]
    return _pack(rows.assign(folder="", place="", run=runs))


def flattered(count: int, where: str) -> str:
    """Says that figures are of images that were learnt from."""
    return (
        f"{count} images of {where} trained this run or one that it builds on, chose a checkpoint, "
        "or are of a group that did; its figures flatter"
    )


def _join(known: pd.DataFrame, before: Seen) -> pd.DataFrame:
    return pd.concat([known.assign(run=""), before.rows], ignore_index=True)


def _pack(rows: pd.DataFrame) -> bytes:
    # No time in it: same run, same bytes.
    return gzip.compress(rows.to_csv(index=False).encode(), mtime=0)


def _read(path: Path) -> pd.DataFrame:
    text = gzip.decompress(path.read_bytes()).decode()
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    table["file_row"] = table["file_row"].astype(int)
    for name in ("group", "content"):
        table[name] = table[name].where(table[name] != "", None)
    return table


_NOTHING = pd.DataFrame(columns=[*IDENTITY, "run"])
