"""Runs that answer together: `model.ensemble`."""

import ml_collections

from iqa_jax import setup
from iqa_jax.networks import Member
from iqa_jax.variables import restore_variables
from iqa_jax.workdir import Workdir


def load_members(config: ml_collections.ConfigDict) -> list[Member]:
    """Loads the runs whose answers count beside those of a run with this config.

    Raises:
      WorkdirError, CheckpointError: one of them is gone, or has no checkpoint that can be read.
    """
    members = []
    for folder in config.model.ensemble:
        workdir = Workdir(folder)
        theirs = workdir.config()
        variables, _ = restore_variables(workdir, theirs)
        model, task = setup.model_from_config(theirs), setup.task_from_config(theirs)
        members.append(Member(model, task, variables))
    return members
