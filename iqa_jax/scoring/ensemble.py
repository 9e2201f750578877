"""Runs that answer together: `model.ensemble`.

A run keeps copies of the networks that answer beside its own: what became of theirs later, or of
their folders, changes no answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from iqa_jax.host.processes import is_first
from iqa_jax.run import build
from iqa_jax.run.config import config_from_json, config_to_json
from iqa_jax.run.workdir import COPY_BACK, Workdir, WorkdirError
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.scoring.networks import Member


def keep_members(workdir: Workdir, folders: Sequence[str]) -> None:
    """Copies the networks of other runs' workdirs into the workdir of a run that begins.

    Raises:
        WorkdirError, CheckpointError: one of them is gone, or has no checkpoint that can be read.
    """
    if not is_first() or workdir.last.steps or workdir.best.steps:
        return
    for number, folder in enumerate(folders):
        run = Workdir(folder)
        variables, step = variables_from_config(run, run.config())
        about = {"run": folder, "step": step, "config": config_to_json(run.config())}
        arrays = {
            name: np.asarray(value) for name, value in flatten_dict(variables, sep="/").items()
        }
        workdir.write_arrays(_file(number), about, arrays)


def load_members(workdir: Workdir, folders: Sequence[str]) -> list[Member]:
    """Loads the networks whose answers count beside that of a run.

    Args:
        workdir: of the run.
        folders: workdirs that they were copied from.

    Raises:
        WorkdirError: the copy of one is gone or damaged.
    """
    members = []
    for number, folder in enumerate(folders):
        found = workdir.read_arrays(_file(number), {"run": folder}, COPY_BACK)
        if found is None:
            raise WorkdirError(
                f"{workdir.folder} lacks {_file(number)}, the network of {folder} that answers "
                "beside its own; put it back, or train anew with another --workdir."
            )
        about, arrays = found
        members.append(_member_from_config(config_from_json(about["config"]), arrays))
    return members


def _member_from_config(
    config: ml_collections.ConfigDict, arrays: Mapping[str, np.ndarray]
) -> Member:
    flat = {name: value.astype(np.float32) for name, value in arrays.items()}
    variables: dict[str, Any] = {"batch_stats": {}, **unflatten_dict(flat, sep="/")}
    return Member(build.model_from_config(config), build.task_from_config(config), variables)


def _file(number: int) -> str:
    return f"ensemble_{number}.npz"
