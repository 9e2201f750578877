"""A stream of batches that processes of their own make, for hosts with many cores.

Threads share one interpreter: they decode at once, but a few dozen of them wait for each other.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
from absl import flags

from input_pipeline.extras import extra

if TYPE_CHECKING:
    import grain


class Batches(Protocol):
    """An endless stream of batches, of Grain's threads or of `WorkerBatches`."""

    def __next__(self) -> Any: ...

    def get_state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class WorkerBatches:
    """The batches of a data set, made in processes; the same, in the same order, as without.

    Args:
        dataset: gives batch k as its element k, and can be pickled.
        workers: how many processes; each makes every so-manieth batch.
    """

    def __init__(self, dataset: "grain.MapDataset", workers: int):
        self._dataset, self._workers = dataset, workers
        self._next, self._batches = 0, None
        # Grain reads flags of its own, which nobody has parsed where there is no command line.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()

    def __iter__(self) -> "WorkerBatches":
        return self

    def __next__(self) -> Any:
        if self._batches is None:
            with extra("train"):
                import grain
            # One thread each, and a batch that waits: memory is that of two per process.
            made = self._dataset[self._next :].to_iter_dataset(
                grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
            )
            options = grain.MultiprocessingOptions(num_workers=self._workers)
            self._batches = iter(made.mp_prefetch(options, _worker_set_up()))
        batch = next(self._batches)
        self._next += 1
        return batch

    def get_state(self) -> dict[str, int]:
        """Gives the position, which does not depend on the number of processes."""
        return {"next_index": self._next}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on from a position."""
        self.close()
        self._next = state["next_index"]

    def close(self) -> None:
        """Ends the processes; the next batch starts others."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def _worker_set_up() -> Callable[[int, int], None]:
    """Gives the function that a process begins with.

    It stands inside another one, so that it is sent whole and not by its name: in a new process
    the user's folder comes first, which may have an `input_pipeline` of its own.
    """
    package = Path(__file__).resolve().parents[1]

    def set_up(worker: int, workers: int) -> None:
        """Makes a process one core's worth, that ends when the one it works for ends it."""
        sys.path.insert(0, str(package.parent))
        loaded = getattr(sys.modules.get(package.name), "__file__", None)
        if not loaded or Path(loaded).resolve().parent != package:
            for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
                del sys.modules[name]
        cv2.setNumThreads(1)
        # A terminal sends Ctrl-C to all; the process that trains saves first.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    return set_up
