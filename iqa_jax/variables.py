"""Where parameters come from: random draws, ImageNet, or the checkpoint of a run."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from iqa_jax import setup
from iqa_jax.models.pretrained import load_pretrained
from iqa_jax.workdir import Workdir, WorkdirError


def initial_variables(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Makes the parameters and statistics before the first update.

    `model.weights` says where the encoder's are from: ImageNet, nowhere, or another run, whose
    fusion and head are left behind.

    Raises:
      WorkdirError: that run's encoder is another one, or there is no such run.
      PretrainedError, FileNotFoundError: the ImageNet weights cannot be had.
      CheckpointError: the run has no checkpoint that can be read.
    """
    weights, variables = config.model.weights, setup.random_variables_from_config(config)
    if weights == "none":
        return variables
    if weights == "imagenet":
        encoder = load_pretrained(config.model.width_multiplier)
    else:
        encoder = _encoder_of(Workdir(weights), config)
    for kind, tree in encoder.items():
        variables[kind]["encoder"] = jax.tree.map(jnp.asarray, tree)
    return variables


def restore_variables(workdir: Workdir, config: ml_collections.ConfigDict) -> tuple[Any, int]:
    """Restores the best parameters of a run, or the last where no evaluation chose any.

    Returns:
      Parameters and statistics, and the step they are from.

    Raises:
      CheckpointError: there is none that can be read.
    """
    checkpoints = workdir.best if workdir.best.steps else workdir.last
    state, _ = checkpoints.restore(setup.abstract_state_from_config(config))
    return state.variables, int(state.step)


def _encoder_of(workdir: Workdir, config: ml_collections.ConfigDict) -> dict[str, Any]:
    theirs = workdir.config()
    if theirs.model.width_multiplier != config.model.width_multiplier:
        raise WorkdirError(
            f"model.weights={workdir.folder} has an encoder of model.width_multiplier="
            f"{theirs.model.width_multiplier:g}, not {config.model.width_multiplier:g}; set the "
            "same width, or take the weights of another run."
        )
    variables, _ = restore_variables(workdir, theirs)
    return {kind: tree["encoder"] for kind, tree in variables.items()}
