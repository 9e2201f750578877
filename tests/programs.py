"""Programs that tests start in processes of their own, and what tests ask of them."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from tiny import ROOT


@contextmanager
def started(arguments: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """Starts a program; at the end it is killed if it still runs, with all that it has started."""
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    process = subprocess.Popen(arguments, text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Reads no further: a grandchild that got away may hold the other end.
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        process.wait()


def run_program(
    arguments: Sequence[str], *, check: bool = True, timeout: float = 300, **options
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, for so many seconds at most; `check` asks for exit status 0."""
    with started(arguments, **options) as process:
        output, errors = process.communicate(timeout=timeout)
    assert not check or process.returncode == 0, f"{output}\n{errors}"
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def last_checkpoint(folder):
    workdir = Workdir(folder)
    return workdir.last.restore(build.abstract_state_from_config(workdir.config()))


def wait_for_step(process: subprocess.Popen, folder, step: int) -> None:
    """Waits until a run has logged a step."""
    end = time.monotonic() + 900
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        if any(entry["step"] >= step for entry in Workdir(folder).history()):
            return
        time.sleep(0.05)
    raise TimeoutError(f"step {step} did not come")
