"""A finished run in one file that can be given away: what answers, and what was fitted for it.

The file is safetensors. `params/…` and `batch_stats/…` are the network's, and `files/NAME` are the
bytes of the workdir's own files. So that a packed run answers, explains and is evaluated like any
other, it is unpacked once into a workdir below the user's cache, under the digest of its content.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from iqa_jax.models.encoders.pretrained import WEIGHTS_FOLDER
from iqa_jax.run.config import config_to_json
from iqa_jax.run.workdir import Workdir, WorkdirError

ENDING = ".safetensors"
# In the folder of weights, which comes with the package.
DEFAULT_SCORER = "photo_scorer"
VARIABLES = "variables.safetensors"
# Of a workdir, what answers need besides what was fitted. Checkpoints hold the optimizer too.
_FILES = ("config.json", "manifest.json", "versions.json", "features.json", "history.jsonl")


def write_packed(
    workdir: Workdir,
    variables: Any,
    step: int,
    fitted: Sequence[str],
    others: Mapping[str, bytes],
    path: Path,
) -> str:
    """Writes a run into one file.

    Args:
        workdir: of the run.
        variables: `{"params": …, "batch_stats": …}` that answer.
        step: of their checkpoint.
        fitted: names of the files of what was fitted for it, as far as they are there.
        others: name of a further file -> its content.
        path: ends in `.safetensors`; appears when it is complete.

    Returns:
        The sha256 of the file.

    Raises:
        WorkdirError: its answers hang on more than this file would hold.
    """
    if workdir.config().model.ensemble:
        raise WorkdirError(
            f"{workdir.folder} answers together with other runs (model.ensemble), which one file "
            "cannot hold."
        )
    tensors = {
        name: np.ascontiguousarray(leaf) for name, leaf in flatten_dict(variables, sep="/").items()
    }
    files = {
        name: (workdir.folder / name).read_bytes()
        for name in (*_FILES, *fitted)
        if (workdir.folder / name).exists()
    }
    files["config.json"] = config_to_json(_without_places(workdir.config())).encode()
    files["manifest.json"] = json.dumps(_names_alone(workdir.read_json("manifest.json"))).encode()
    for name, content in {**files, **others}.items():
        tensors[f"files/{name}"] = np.frombuffer(content, np.uint8)
    content = safetensors.numpy.save(tensors, {"format": "iqa_jax run", "step": str(step)})
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
    return hashlib.sha256(content).hexdigest()


def _without_places(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Leaves of files that trained a run their names alone: where they lay is nobody's business."""
    named = config.copy_and_resolve_references()
    for owner, key in (
        (named.data, "manifest"),
        (named.data, "split_rows"),
        (named.data, "dropped_tiles"),
        (named.model, "weights"),
        *((one, "path") for one in named.data.manifests.values()),
    ):
        owner[key] = Path(owner[key]).name
    return named


def _names_alone(about: dict[str, Any]) -> dict[str, Any]:
    sets = {name: Path(path).name for name, path in about.get("sets", {}).items()}
    return about | {"path": Path(about["path"]).name} | ({"sets": sets} if sets else {})


def open_run(place: str | Path) -> Workdir:
    """Opens a run by its place.

    Args:
        place: a workdir, a packed run, the name of a scorer that comes with the package, or ""
            for the first of these.

    Raises:
        WorkdirError: there is no such packed run, or it is damaged.
    """
    text = str(place) or DEFAULT_SCORER
    packed = WEIGHTS_FOLDER / f"{text}{ENDING}"
    if os.sep not in text and packed.is_file() and not Path(text).exists():
        return Workdir(unpack(packed))
    return Workdir(unpack(Path(text)) if text.endswith(ENDING) else text)


def is_run(place: str | Path) -> bool:
    """Says whether there is a run at a place, as `open_run` takes it."""
    try:
        return (open_run(place).folder / "config.json").is_file()
    except WorkdirError:
        return False


def is_packed(workdir: Workdir) -> bool:
    """Says whether a workdir is an unpacked run, in which nobody looks for results."""
    return (workdir.folder / VARIABLES).exists()


def unpack(path: Path) -> Path:
    """Gives the workdir of a packed run, made on the first use.

    Raises:
        WorkdirError: there is no such file, or it is damaged or no packed run.
    """
    try:
        content = path.expanduser().read_bytes()
        with safetensors.safe_open(path.expanduser(), "numpy") as file:
            about = file.metadata() or {}
        tensors = safetensors.numpy.load(content)
    except OSError as error:
        raise WorkdirError(f"{path} cannot be read: {error.strerror or error}.") from error
    except safetensors.SafetensorError as error:
        raise WorkdirError(f"{path} is damaged ({error}); get the file again.") from error
    if "files/config.json" not in tensors or "step" not in about:
        raise WorkdirError(f"{path} holds weights, but no run that --mode=export has written.")
    digest = hashlib.sha256(content).hexdigest()
    folder = _cache() / f"{path.stem}-{digest[:16]}"
    if not folder.is_dir():
        _write_workdir(tensors, about, folder)
    return folder


def read_variables(path: Path) -> tuple[dict[str, Any], int]:
    """Reads the variables of an unpacked run, and the step they are from."""
    with safetensors.safe_open(path, "numpy") as file:
        step = int(file.metadata()["step"])
        flat = {tuple(name.split("/")): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return unflatten_dict(flat), step


def _write_workdir(tensors: dict[str, np.ndarray], about: dict[str, str], folder: Path) -> None:
    """Makes the folder appear whole, whoever else makes it meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        files = {name: value for name, value in tensors.items() if name.startswith("files/")}
        for name, value in files.items():
            # The name of a file alone: nothing is written elsewhere.
            (part / Path(name).name).write_bytes(value.tobytes())
        variables = {name: value for name, value in tensors.items() if name not in files}
        safetensors.numpy.save_file(variables, part / VARIABLES, {"step": about["step"]})
        part.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _cache() -> Path:
    """Names the folder of unpacked runs; a temporary one where the home cannot be written."""
    home = Path(os.path.expanduser("~/.cache/iqa_jax/scorers"))
    try:
        home.mkdir(parents=True, exist_ok=True)
        return home
    except OSError:
        return Path(tempfile.gettempdir()) / f"iqa_jax-scorers-{os.getuid()}"
