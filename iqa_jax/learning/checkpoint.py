"""Checkpoints of a run: state and the record beside it, saved together or not at all.

The only importer of orbax. The record is what JSON can hold: the position of the data, the best
evaluation so far. A checkpoint at step k holds the state after k updates.
"""

import logging
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

# Orbax tells of every file it touches; the loop says what a person wants to know.
logging.getLogger("absl").addFilter(
    lambda entry: "orbax" not in entry.pathname or entry.levelno >= logging.WARNING
)


class CheckpointError(RuntimeError):
    """Says why a checkpoint could not be saved or restored and what to do."""


class Checkpoints:
    """The checkpoints in one folder, oldest dropped first.

    Args:
        folder: made on the first save.
        keep: how many to keep.
    """

    def __init__(self, folder: Path, keep: int):
        self.folder = Path(folder).resolve()
        # A run saves a few tens of megabytes: waiting for the disk costs less than errors that
        # surface steps later.
        self._options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        self._open_manager: ocp.CheckpointManager | None = None

    @property
    def _manager(self) -> ocp.CheckpointManager:
        """Saves, with all processes of a run together."""
        if self._open_manager is None:
            self._open_manager = ocp.CheckpointManager(self.folder, options=self._options)
        return self._open_manager

    @property
    def _reader(self) -> ocp.CheckpointManager:
        """Reads, each process for itself: it waits for no other."""
        number = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=number,
            active_processes={number},
            barrier_sync_key_prefix=f"process_{number}",
        )
        options = ocp.CheckpointManagerOptions(create=False, multiprocessing_options=alone)
        return ocp.CheckpointManager(self.folder, options=options)

    @property
    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, in order."""
        return sorted(ocp.utils.checkpoint_steps(self.folder)) if self.folder.is_dir() else []

    def save(self, step: int, state: Any, record: dict[str, Any]) -> None:
        """Saves state and record.

        Checkpoints from this step on are dropped first: a run that went on from an older one,
        because the newest was damaged, comes by their steps again.

        Raises:
            CheckpointError: it could not be written; earlier checkpoints are untouched.
        """
        try:
            for later in self.steps:
                if later >= step:
                    self._manager.delete(later)
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(record)
                ),
            )
        except (OSError, ValueError, RuntimeError) as error:
            self._open_manager = None
            kept = [earlier for earlier in self.steps if earlier != step]
            raise CheckpointError(
                f"could not save the checkpoint of step {step} in {self.folder}: "
                f"{_first_line(error)}. "
                "Check the free space and the permissions, then start the same command again: it "
                + (f"goes on from the last good one, step {kept[-1]}." if kept else "starts anew.")
            ) from error

    def restore(self, target: Any, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Restores the newest readable checkpoint, or the one of a step.

        A damaged checkpoint is passed over with a warning while an older one is there.

        Args:
            target: tree of arrays or `jax.ShapeDtypeStruct` with the shapes and shardings to
                restore to, so that a checkpoint loads on other hardware than it was saved on.
            step: None for the newest.

        Raises:
            CheckpointError: there is none, or none can be read into the target.
        """
        steps = self.steps if step is None else [step]
        if not steps:
            raise CheckpointError(f"there is no checkpoint in {self.folder}; train first.")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, target)
        reader, problems = self._reader, []
        for candidate in reversed(steps):
            try:
                restored = reader.restore(
                    candidate,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(abstract), record=ocp.args.JsonRestore()
                    ),
                )
                return restored["state"], restored["record"]
            except Exception as error:  # Orbax and TensorStore raise many kinds on damage.
                problems.append(error)
                logging.warning(
                    "checkpoint %s in %s cannot be read: %s",
                    candidate,
                    self.folder,
                    _first_line(error),
                )
        problem = problems[-1]
        raise CheckpointError(
            f"no checkpoint in {self.folder} can be read ({_first_line(problem)}). It is damaged, "
            "or it belongs to another model: compare config.json in the workdir."
        ) from problem


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
