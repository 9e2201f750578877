"""Where parameters come from: random draws, ImageNet, or the checkpoint of a run."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from iqa_jax.models.encoders.pretrained import load_pretrained
from iqa_jax.run import build
from iqa_jax.run.packed import VARIABLES, open_run, read_variables
from iqa_jax.run.workdir import Workdir, WorkdirError


def initial_variables(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Makes the parameters and statistics before the first update.

    `model.weights` says where the encoder's are from: ImageNet, nowhere, or another run.
    `model.weights_of` says whether that run's fusion and head come along.

    Raises:
        WorkdirError: that run's network is another one, or there is no such run.
        PretrainedError, FileNotFoundError: the ImageNet weights cannot be had.
        CheckpointError: the run has no checkpoint that can be read.
    """
    weights, variables = config.model.weights, build.random_variables_from_config(config)
    if weights == "none":
        return variables
    if weights == "imagenet":
        theirs = {
            kind: {"encoder": tree}
            for kind, tree in load_pretrained(config.encoder.mobilenet_v2.width_multiplier).items()
        }
    else:
        workdir = open_run(weights)
        theirs, _ = restore_trained(workdir, workdir.config())
    parts = ["encoder"] if config.model.weights_of == "encoder" else None
    for kind, tree in theirs.items():
        for part in parts or {**tree, **variables[kind]}:
            _check_shapes(weights, part, tree.get(part), variables[kind].get(part))
            variables[kind][part] = jax.tree.map(jnp.asarray, tree[part])
    return variables


def restore_trained(workdir: Workdir, config: ml_collections.ConfigDict) -> tuple[Any, int]:
    """Restores the best parameters of a run, or the last where no evaluation chose any.

    Returns:
        Parameters and statistics, and the step they are from.

    Raises:
        CheckpointError: there is none that can be read.
    """
    if (workdir.folder / VARIABLES).exists():
        return read_variables(workdir.folder / VARIABLES)
    checkpoints = workdir.best if workdir.best.steps else workdir.last
    state, _ = checkpoints.restore(build.abstract_state_from_config(config))
    return state.variables, int(state.step)


def hash_tree(tree: Any) -> str:
    """Hashes the names and values of a tree of variables."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def _check_shapes(weights: str, part: str, theirs: Any, ours: Any) -> None:
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise WorkdirError(
            f"model.weights={weights}: its {part} is not built like this run's; give both the same "
            "keys of `model` and `fusion`, the same data.features and the same kind of label"
            + ("." if part == "encoder" else ', or set model.weights_of to "encoder".')
        )
