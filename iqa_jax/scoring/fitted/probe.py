"""What a run answers by that is fitted on embeddings of training images rather than trained.

A run that has learnt embeddings answers by a linear probe, the last layer of its head; one with
`model.kernel_ridge` also by how near training images are. Either is kept in probe.npz, for one
checkpoint, and put into the variables wherever they are restored, so that answers, maps and
uncertainty come about as those of any other run.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pandas as pd

from iqa_jax.analysis.kernel_ridge import KernelRidge, fit_kernel_ridge
from iqa_jax.analysis.linear_probe import Probe, fit_probe
from iqa_jax.host.progress import meter
from iqa_jax.run import build
from iqa_jax.run.variables import restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.answered import Answered

# Training images that it is fitted on, at most; in a larger set all classes get the same share.
_IMAGES = 2000
FILE = "probe.npz"


@dataclasses.dataclass(frozen=True)
class ProbeSettings:
    """What the probe of a run is, and hangs on.

    Attributes:
        target: of a `KernelRidge`, the outputs that a label is trained to be; None for a `Probe`.
        classes: how many there are.
        is_balanced: every class counts as much as the others.
        seed: of the choice of images.
    """

    target: Callable[[Any], Any] | None
    classes: int
    is_balanced: bool
    seed: int

    @property
    def made(self) -> type[Probe] | type[KernelRidge]:
        """What it is."""
        return Probe if self.target is None else KernelRidge


def probe_settings_from_config(config: ml_collections.ConfigDict) -> ProbeSettings | None:
    """Says what a run answers by beside its network; None where that answers by itself."""
    task = build.task_from_config(config)
    if not task.projection_dim and not config.model.kernel_ridge:
        return None
    return ProbeSettings(
        target=None if task.projection_dim else task.target,
        classes=len(config.data.classes),
        is_balanced=config.balanced_sampling,
        seed=config.seed,
    )


def fit_training_probe(
    settings: ProbeSettings,
    images: pd.DataFrame,
    score: Callable[[Sequence[int]], Iterator[Answered]],
) -> Probe | KernelRidge:
    """Fits the probe on images of `train`.

    Args:
        settings: of the run.
        images: the manifest's rows of the split `train`.
        score: answers images by its network, by image_id.

    Raises:
        WorkdirError: no image of a class can be read any more.
    """
    if settings.target is not None:
        chosen = np.sort(images.sample(frac=1, random_state=settings.seed).index[:_IMAGES])
    else:
        images = images[images["label"] >= 0].sample(frac=1, random_state=settings.seed)
        turn = images.groupby("label").cumcount().sort_values(kind="stable")
        chosen = np.sort(turn.index[:_IMAGES])
    embeddings, image_ids = [], []
    with meter("embedding train", len(chosen)) as progress:
        for done, answer in enumerate(score(chosen.tolist()), start=1):
            if not answer.error:
                embeddings.append(answer.embedding)
                image_ids.append(answer.image_id)
            progress.update(done)
    embeddings, labels = np.array(embeddings), images["label"].loc[image_ids].to_numpy()
    try:
        if settings.target is not None:
            return fit_kernel_ridge(embeddings, settings.target(labels))
        return fit_probe(embeddings, labels, settings.classes, is_balanced=settings.is_balanced)
    except ValueError as error:
        raise WorkdirError(f"the embeddings of train cannot be probed: {error}") from error


def with_probe(variables: Any, probe: Probe | KernelRidge | None) -> Any:
    """Puts a probe into the variables."""
    if probe is None:
        return variables
    if isinstance(probe, KernelRidge):
        arrays = jax.tree.map(jnp.asarray, dataclasses.asdict(probe))
        return {**variables, "kernel_ridge": {"head": arrays}}
    params = variables["params"]
    fitted = {
        "probe_kernel": jnp.asarray(probe.kernel, jnp.float32),
        "probe_bias": jnp.asarray(probe.bias, jnp.float32),
    }
    return {**variables, "params": {**params, "head": {**params["head"], **fitted}}}


def write_probe(workdir: Workdir, step: int, probe: Probe | KernelRidge) -> None:
    """Keeps the probe of a step in the workdir."""
    workdir.write_arrays(FILE, {"step": step}, dataclasses.asdict(probe))


def read_probe(
    workdir: Workdir, step: int, settings: ProbeSettings | None
) -> Probe | KernelRidge | None:
    """Reads the probe of a step; None for a run that needs none.

    Raises:
        WorkdirError: it needs one, and there is none.
    """
    if settings is None:
        return None
    found = workdir.read_arrays(FILE, {"step": step})
    if found is None:
        raise WorkdirError(
            f"{workdir.folder} has no {FILE} for its checkpoint of step {step}, so it "
            "does not answer yet: start the command again that trains it, which fits the probe."
        )
    return settings.made(**found[1])


def variables_from_config(workdir: Workdir, config: ml_collections.ConfigDict) -> tuple[Any, int]:
    """Restores what answers: the parameters of `restore_trained`, and the probe of embeddings.

    Args:
        workdir, config: of the run.

    Raises:
        CheckpointError: there is none that can be read.
        WorkdirError: the run needs a probe, and none is fitted.
    """
    variables, step = restore_trained(workdir, config)
    probe = read_probe(workdir, step, probe_settings_from_config(config))
    return with_probe(variables, probe), step
