"""What tests ask of a run that another process trains."""

import subprocess
import time

from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir


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
