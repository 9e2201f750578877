"""How a run answers that has learnt embeddings: by a probe fitted on training images.

The probe is the last layer of the head, fitted rather than trained. It is kept in probe.npz, for
one checkpoint, and put into the parameters wherever they are restored, so that answers, maps and
uncertainty come about as those of any other run.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

from iqa_jax import setup
from iqa_jax.analysis.probe import Probe, fit_probe
from iqa_jax.progress import meter
from iqa_jax.workdir import Workdir, WorkdirError

# Training images that it is fitted on, at most; in a larger set all classes get the same share.
_IMAGES = 2000
_FILE = "probe.npz"


def fit_training_probe(
    config: ml_collections.ConfigDict, evaluator: Any, variables: Any
) -> Probe | None:
    """Fits the probe on images of `train`; None for a run whose network answers by itself.

    Args:
      config: of the run.
      evaluator: of its manifest.
      variables: of its network.

    Raises:
      WorkdirError: no image of a class can be read any more.
    """
    if not setup.task_from_config(config).projection_dim:
        return None
    images = evaluator.manifest.split("train")
    images = images[images["label"] >= 0].sample(frac=1, random_state=config.seed)
    turn = images.groupby("label").cumcount().sort_values(kind="stable")
    chosen = np.sort(turn.index[:_IMAGES])
    embeddings, image_ids = [], []
    with meter("embedding train", len(chosen)) as progress:
        answers = evaluator.answers(variables, chosen, is_plain=True)
        for done, answer in enumerate(answers, start=1):
            if not answer.error:
                embeddings.append(answer.embedding)
                image_ids.append(answer.image_id)
            progress.update(done)
    try:
        return fit_probe(
            np.array(embeddings),
            images["label"].loc[image_ids].to_numpy(),
            len(config.data.classes),
            is_balanced=config.balanced_sampling,
        )
    except ValueError as error:
        raise WorkdirError(f"the embeddings of train cannot be probed: {error}") from error


def with_probe(variables: Any, probe: Probe | None) -> Any:
    """Puts a probe into the parameters."""
    if probe is None:
        return variables
    params = variables["params"]
    fitted = {
        "probe_kernel": jnp.asarray(probe.kernel, jnp.float32),
        "probe_bias": jnp.asarray(probe.bias, jnp.float32),
    }
    return {**variables, "params": {**params, "head": {**params["head"], **fitted}}}


def write_probe(workdir: Workdir, step: int, probe: Probe) -> None:
    """Keeps the probe of a step in the workdir."""
    workdir.write_arrays(_FILE, {"step": step}, dataclasses.asdict(probe))


def read_probe(workdir: Workdir, config: ml_collections.ConfigDict, step: int) -> Probe | None:
    """Reads the probe of a step; None for a run that needs none.

    Raises:
      WorkdirError: it needs one, and there is none.
    """
    if not setup.task_from_config(config).projection_dim:
        return None
    found = workdir.read_arrays(_FILE, {"step": step})
    if found is None:
        raise WorkdirError(
            f"{workdir.folder} has no {_FILE} for its checkpoint of step {step}, so its embeddings "
            "do not answer yet: start the command again that trains it, which fits the probe."
        )
    return Probe(**found[1])
