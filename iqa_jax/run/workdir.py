"""What a run keeps in its folder, so that evaluating and predicting need nothing else.

config.json  manifest.json  versions.json  features.json  seen.csv.gz
calibration.json  thresholds.json  logistic.json  confidence.npz  probe.npz  anomaly.npz
checkpoints/last  checkpoints/best  history.jsonl  tensorboard/
metrics.json  predictions_<split>.csv  report.html  report.md  model_card.md
"""

import dataclasses
import json
import os
import platform
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from input_pipeline.files.file_names import name_text, slash_hint
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.features import FeatureTable
from iqa_jax.host.lock import LOCK, sole_writer
from iqa_jax.host.processes import is_first, wait_for_all
from iqa_jax.learning.checkpoint import Checkpoints
from iqa_jax.run.config import config_from_json, config_to_json, differing_keys
from iqa_jax.run.key_roles import is_free

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy",
             "opencv-python-headless", "pillow")  # fmt: skip


# What to do about a file that is damaged or gone, where it is more than to put a copy back.
_REMEDIES = {
    "features.json": "give the training command again, which writes it anew",
    "metrics.json": "delete it and run --mode=evaluate again, which writes it anew",
    "tested.json": "delete it and give the same command again, which tests this run anew",
    "history.jsonl": "delete that line; the curves lack it then, and nothing else does",
}
REFIT = "delete it and give the training command again, which fits it anew"
COPY_BACK = "put a copy of it back, or train anew with another --workdir"


class WorkdirError(RuntimeError):
    """Says why a workdir cannot be used and what to do."""


class Workdir:
    """The folder of one run; where several processes train it, the first one writes.

    Raises:
        WorkdirError: checkpoints cannot be kept below a folder of that name.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser()
        if (text := name_text(self.folder.absolute())) != str(self.folder.absolute()):
            raise WorkdirError(
                f"{text}: checkpoints can only be kept in folders whose names are UTF-8; rename "
                "the folder, or give another."
            )
        self.last = Checkpoints(self.folder / "checkpoints" / "last", keep=2)
        self.best = Checkpoints(self.folder / "checkpoints" / "best", keep=1)

    @contextmanager
    def sole_writer(self, doing: str) -> Iterator[None]:
        """Keeps other starts from writing here meanwhile; `doing` tells people what for.

        Raises:
            InUseError: another process writes here.
        """
        if is_first():
            with sole_writer(self.folder, doing):
                yield
        else:
            yield

    def open_for_training(self, config: ml_collections.ConfigDict, manifest: Manifest) -> None:
        """Makes the folder, or makes sure that it belongs to the same run.

        Raises:
            WorkdirError: it belongs to a run with another config or manifest.
        """
        if is_first():
            self._open_for_training(config, manifest)
        wait_for_all(f"opened {self.folder}")

    def _open_for_training(self, config: ml_collections.ConfigDict, manifest: Manifest) -> None:
        about: dict[str, Any] = {"path": str(manifest.path), "sha256": manifest.digest}
        if manifest.sets:
            about["sets"] = {name: str(path) for name, path in manifest.sets.items()}
        is_run = (self.folder / "config.json").exists()
        # A start that ended before anything was saved binds nobody.
        if is_run and (self.last.steps or self.best.steps):
            changed = [
                line
                for line in differing_keys(self.config(), config)
                if not is_free(line.split(":")[0])
            ]
            if self.read_json("manifest.json")["sha256"] != manifest.digest:
                changed.append(f"the rows of the manifest {manifest.path} have changed")
            if changed:
                raise WorkdirError(
                    f"{self.folder} belongs to another run:\n"
                    + "\n".join(f"  {line}" for line in changed)
                    + "\nGive another --workdir, or the config of that run to go on with it."
                )
        elif not is_run and self.folder.exists() and self._has_files():
            raise WorkdirError(f"{self.folder} is not empty and is no run; give another --workdir.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_text("manifest.json", json.dumps(about, indent=2))
        self.write_text("versions.json", json.dumps(versions(), indent=2))
        self.write_text("config.json", config_to_json(config))

    def _has_files(self) -> bool:
        return any(path.name != LOCK for path in self.folder.iterdir())

    def config(self) -> ml_collections.ConfigDict:
        """Reads the config of the run.

        Raises:
            WorkdirError: there is no run, or its config is damaged.
        """
        path = self.folder / "config.json"
        if not path.exists():
            hint = "" if self.folder.exists() else slash_hint(self.folder)
            raise WorkdirError(
                f"{self.folder} holds no run (there is no config.json){hint}; train first with "
                f"--mode=train --workdir={self.folder}."
            )
        return self._parse("config.json", config_from_json)

    def features(self) -> FeatureTable:
        """Reads the scaling of the hand-crafted features."""
        table = self.read_json("features.json")
        return FeatureTable(**{name: tuple(values) for name, values in table.items()})

    def write_features(self, features: FeatureTable) -> None:
        self.write_text("features.json", json.dumps(dataclasses.asdict(features)))

    def write_fitted(self, name: str, step: int, found: Mapping[str, Any]) -> None:
        """Keeps what was fitted for the checkpoint of a step, in a JSON file of that name."""
        self.write_text(name, json.dumps({"step": step, **found}))

    def fitted(self, name: str, step: int) -> dict[str, Any] | None:
        """Reads what was fitted after training; None if not for the checkpoint of that step.

        Raises:
            WorkdirError: it is damaged.
        """
        if not (self.folder / name).exists():
            return None
        found = self._parse(name, json.loads, REFIT)
        return found if found["step"] == step else None

    def read_json(self, name: str) -> Any:
        """Reads a file.

        Raises:
            WorkdirError: it is damaged or gone.
        """
        return self._parse(name, json.loads, _REMEDIES.get(name, COPY_BACK))

    def _parse(self, name: str, parse: Callable[[str], Any], remedy: str = COPY_BACK) -> Any:
        try:
            return parse(self.read_text(name))
        except FileNotFoundError as error:
            raise WorkdirError(f"{self.folder / name} is gone: {remedy}.") from error
        except ValueError as error:  # No JSON, or no text at all.
            raise self._damaged(name, error, remedy) from error

    def _damaged(self, name: str, error: Exception, remedy: str) -> WorkdirError:
        return WorkdirError(f"{self.folder / name} is damaged or cut short ({error}): {remedy}.")

    def read_text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def write_text(self, name: str, text: str) -> Path:
        """Writes a file whole or not at all."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Writes a file whole or not at all."""
        path = self.folder / name
        if not is_first():
            return path
        part = path.with_name(path.name + ".part")
        try:
            part.write_bytes(content)
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return path

    def write_arrays(
        self, name: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Writes an .npz whole or not at all; `about`, for JSON, is what `read_arrays` asks for."""
        path = self.folder / name
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                # Half the size, and far more precise than what is fitted needs.
                arrays = {
                    key: np.float32(value) if value.dtype.kind == "f" else value
                    for key, value in arrays.items()
                }
                np.savez(file, about=json.dumps(about), **arrays)
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def read_arrays(
        self, name: str, wanted: Mapping[str, Any], remedy: str = REFIT
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Reads what `write_arrays` wrote, about it and floats in double precision.

        Args:
            name: of the file.
            wanted: what it must be about.
            remedy: what to do if it is damaged.

        Returns:
            None if it is not there, or is about something else than wanted.

        Raises:
            WorkdirError: it is damaged.
        """
        try:
            with np.load(self.folder / name) as file:
                about = json.loads(str(file["about"]))
                # What an older file does not tell was not there yet: None.
                if any(about.get(key) != value for key, value in wanted.items()):
                    return None
                arrays = {key: file[key] for key in file.files if key != "about"}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._damaged(name, error, remedy) from error
        return about, {
            key: value.astype(np.float64) if value.dtype.kind == "f" else value
            for key, value in arrays.items()
        }

    def audit(self) -> str:
        """Reads what was found in the images before training; a packed run has no images."""
        path = self.folder / "audit.txt"
        return self.read_text(path.name) if path.exists() else ""

    def history(self) -> list[dict[str, Any]]:
        """Reads the curves: one entry per logged step.

        Raises:
            WorkdirError: a line of it is damaged.
        """
        path = self.folder / "history.jsonl"
        if not path.exists():
            return []
        # A kill or a full disk may have torn the last line off; it is logged again.
        whole_lines = path.read_text(encoding="utf-8").rpartition("\n")[0]
        entries = []
        for number, line in enumerate(whole_lines.splitlines(), start=1):
            try:
                entries.append(json.loads(line))
            except ValueError as error:
                raise WorkdirError(
                    f"{path}: line {number} is damaged; {_REMEDIES[path.name]}."
                ) from error
        return entries

    def cut_history(self, step: int) -> None:
        """Drops what a killed run logged after the checkpoint it goes on from."""
        kept = [entry for entry in self.history() if entry["step"] <= step]
        self.write_text("history.jsonl", "".join(json.dumps(entry) + "\n" for entry in kept))

    def add_history(self, entry: dict[str, Any]) -> None:
        if not is_first():
            return
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def versions() -> dict[str, str]:
    """Names the versions that a figure depends on, of what is installed."""
    found = {name: next(iter(metadata.distributions(name=name)), None) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        **{name: package.version for name, package in found.items() if package},
    }
