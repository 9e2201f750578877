"""A freed buffer is reused, not fetched from the system again."""

import ctypes
import sys

import pytest

from programs import run_program

SCRIPT = """
import resource, sys, threading
import numpy as np
from iqa_jax.host.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
counts = []
def work():
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(12_000_000)
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(sum(counts[10:]))
"""


def count_page_faults(mode: str) -> int:
    command = [sys.executable, "-c", SCRIPT, mode]
    return int(run_program(command).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_freed_memory_is_reused():
    assert count_page_faults("leave") > 1000
    assert count_page_faults("keep") < 100
