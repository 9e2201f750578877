"""Programs that tests start in processes of their own."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

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
