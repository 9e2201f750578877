"""The only train loop.

Each turn: batch, update, log, evaluate, save. A checkpoint at step k holds the state after k
updates, the data iterator that has produced k batches and the best evaluation so far, so that a
resumed run is bit for bit the run that was never stopped.
"""

import ml_collections

from iqa_jax.host.processes import is_first, wait_for_all
from iqa_jax.host.progress import say
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.reporting.edge_filter import draw_edge_filter
from iqa_jax.run import build
from iqa_jax.run.checks import check_run
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.ensemble import keep_members
from iqa_jax.training.data import prepare_training
from iqa_jax.training.loop import fit
from iqa_jax.training.training_error import TrainingError


def train(
    config: ml_collections.ConfigDict, folder: str, command: str, is_profiled: bool = False
) -> int:
    """Trains a run, or goes on with it, then evaluates its best checkpoint.

    Args:
        config: of the run.
        folder: its workdir.
        command: how it was started, for the report.
        is_profiled: trace a few steps, into `profile` there, and say where their time went.

    Returns:
        The exit status: 0, or 128 + the signal that stopped it.

    Raises:
        ConfigError, ManifestError, WorkdirError, TrainingError, CheckpointError: with a sentence.
    """
    check_run(config)
    manifest = build.manifest_from_config(config)
    trusted_on = config.uncertainty.split
    if trusted_on not in ("val", *manifest.splits):  # A run may do without `val`.
        raise TrainingError(
            f'uncertainty.split is "{trusted_on}"; the splits of {manifest.path} are '
            f"{', '.join(manifest.splits)}"
        )
    workdir = Workdir(folder)
    with workdir.sole_writer("--mode=train"):
        workdir.open_for_training(config, manifest)
        data = prepare_training(config, manifest, workdir)
        if len(data.index.dropped) and is_first():
            picture, band = workdir.folder / "edge_filter.png", build.edge_band_from_config(config)
            draw_edge_filter(picture, data.source, data.index, *band)
            say(f"see {picture}")
        keep_members(workdir, config.model.ensemble)
        if stopped_by := fit(config, data, workdir, is_profiled):
            return 128 + stopped_by
        if is_first():
            evaluate_run(workdir, command=command)
        wait_for_all("evaluated")
    return 0
