"""Several processes that train one run together, one per host or one per group of devices.

The first process writes the workdir, which all of them must be able to read.
"""

import pickle
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from iqa_jax.host import progress

Item = TypeVar("Item")


class ProcessesError(ValueError):
    """Says why the processes cannot be joined and what to do."""


def join_processes(how: str) -> None:
    """Joins this process to the others; nothing may have asked for devices before.

    Args:
        how: "auto" where the cluster says who there is (Slurm, Open MPI, Kubernetes, Cloud TPU), or
            `HOST:PORT,PROCESSES,NUMBER`: where the first process listens, how many there are, and
            which of them, from 0, this one is.

    Raises:
        ProcessesError: this is neither.
    """
    if how == "auto":
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise ProcessesError(
                f"--distributed=auto finds no cluster that it knows ({error}). Give "
                "--distributed=HOST:PORT,PROCESSES,NUMBER instead."
            ) from error
    else:
        address, *numbers = how.split(",")
        if len(numbers) != 2 or ":" not in address or not all(n.isdecimal() for n in numbers):
            raise ProcessesError(
                f"--distributed={how} is neither auto nor HOST:PORT,PROCESSES,NUMBER, such as "
                "10.0.0.1:8476,4,0 on the first of four hosts."
            )
        processes, number = map(int, numbers)
        if number >= processes:
            raise ProcessesError(
                f"--distributed={how}: {processes} processes have the numbers 0 to "
                f"{processes - 1}, not {number}."
            )
        jax.distributed.initialize(address, processes, number)
    if not is_first():
        progress.be_silent()


def is_first() -> bool:
    """Says whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Returns once every process has come to the place of that name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Gives this process's part; those of all processes differ by one in length at most."""
    return items[jax.process_index() :: jax.process_count()]


def gather_shares(items: Sequence[Item]) -> list[Item]:
    """Gives what all processes made of their `share`, in the order of the whole.

    Args:
        items: one per item of this process's share; what `pickle` can hold.
    """
    if jax.process_count() == 1:
        return list(items)
    shares = [pickle.loads(data) for data in _gather_bytes(pickle.dumps(list(items)))]
    whole: list[Any] = [None] * sum(map(len, shares))
    for number, part in enumerate(shares):
        whole[number :: len(shares)] = part
    return whole


def largest(value: int) -> int:
    """Gives the largest of the values that the processes have."""
    if jax.process_count() == 1:
        return value
    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def _gather_bytes(data: bytes) -> list[bytes]:
    # All arrays of a gathering must be of one length.
    lengths = multihost_utils.process_allgather(np.int32(len(data)))
    padded = np.frombuffer(data.ljust(int(lengths.max()), b"\0"), np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
