"""What a test starts ends with it: also what that has started, and when it takes too long."""

import os
import subprocess
import sys
import time

import pytest

from programs import run_program

# Starts a program that sleeps, writes its number into a file, and sleeps itself.
SCRIPT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody has asked for its status is still listed.
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True, check=False
    )
    return not state.stdout.startswith("Z")


def test_a_program_that_takes_too_long_ends_with_all_that_it_started(tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        run_program([sys.executable, "-c", SCRIPT, str(note)], timeout=5)
    pid, end = int(note.read_text()), time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_program_that_fails_is_told_of_with_what_it_said():
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_program([sys.executable, "-c", "1 / 0"])
