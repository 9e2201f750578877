"""Runs that answer together: `model.ensemble`.

A run keeps copies of the networks that answer beside its own: what became of theirs later, or of
their folders, changes no answer.
"""

import ml_collections
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from iqa_jax.host.processes import is_first
from iqa_jax.run import build
from iqa_jax.run.config import config_from_json, config_to_json
from iqa_jax.run.workdir import COPY_BACK, Workdir, WorkdirError
from iqa_jax.scoring.fitted.probe import restore_variables
from iqa_jax.scoring.networks import Member


def keep_members(workdir: Workdir, config: ml_collections.ConfigDict) -> None:
    """Copies the networks of `model.ensemble` into the workdir of a run that begins.

    Raises:
      WorkdirError, CheckpointError: one of them is gone, or has no checkpoint that can be read.
    """
    if not is_first() or workdir.last.steps or workdir.best.steps:
        return
    for number, folder in enumerate(config.model.ensemble):
        run = Workdir(folder)
        theirs = run.config()
        variables, step = restore_variables(run, theirs)
        about = {"run": folder, "step": step, "config": config_to_json(theirs)}
        arrays = {
            name: np.asarray(value) for name, value in flatten_dict(variables, sep="/").items()
        }
        workdir.write_arrays(_file(number), about, arrays)


def load_members(workdir: Workdir, config: ml_collections.ConfigDict) -> list[Member]:
    """Loads the networks whose answers count beside that of a run.

    Raises:
      WorkdirError: the copy of one is gone or damaged.
    """
    members = []
    for number, folder in enumerate(config.model.ensemble):
        found = workdir.read_arrays(_file(number), {"run": folder}, COPY_BACK)
        if found is None:
            raise WorkdirError(
                f"{workdir.folder} lacks {_file(number)}, the network of {folder} that answers "
                "beside its own; put it back, or train anew with another --workdir."
            )
        about, arrays = found
        theirs = config_from_json(about["config"])
        flat = {name: value.astype(np.float32) for name, value in arrays.items()}
        variables = {"batch_stats": {}, **unflatten_dict(flat, sep="/")}
        model, task = build.model_from_config(theirs), build.task_from_config(theirs)
        members.append(Member(model, task, variables))
    return members


def _file(number: int) -> str:
    return f"ensemble_{number}.npz"
