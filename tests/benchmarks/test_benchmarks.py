"""The speed benchmarks run at toy size, without the peer, and print what the table is made of."""

import json
import sys

import pytest

from benchmarks import performance
from programs import run_program


def run(name: str, *flags: str) -> dict:
    command = [sys.executable, "-m", f"benchmarks.{name}", *flags]
    done = run_program(command)
    result = json.loads(done.stdout)
    assert result["benchmark"] == name
    assert performance.make_table({name: result}).count(result["date"]) == 1
    return result


@pytest.mark.parametrize(("name", "flags"), [("train_step", ()), ("gpu", ("--platform=cpu",))])
def test_both_passes_of_the_network_are_timed(name, flags):
    result = run(name, "--batch=2", "--size=32", "--rounds=1", "--peers", *flags)
    for step in ("train", "inference"):
        seconds, rate = result[step]["seconds"], result[step]["tiles_per_second"]
        assert rate["iqa_jax"] == pytest.approx(2 / seconds["iqa_jax"], rel=0.05)
        assert result[step]["ratio"] == {}


def test_scoring_files_is_timed():
    result = run("predict", "--photos=2", "--height=300", "--width=400", "--rounds=1", "--peers")
    assert result["tiles"] == 2 * 4 and result["tiles_per_second"]["iqa_jax"] > 0


def test_memory_is_measured_of_whole_tables():
    result = run("predict_memory", "--side=512", "--photos=1", "--width=600", "--rows=20")
    cases = ("small_photo", "folder_of_20_megapixels", "list", "huge_tiff")
    assert [result[case]["rows"] for case in cases] == [1, 1, 20, 1]
    # Exit status 3 says that rows have an error: files of the list are missing.
    assert [result[case]["exit_status"] for case in cases] == [0, 0, 3, 0]
    assert all(result[case]["megabytes"] > result["nothing"]["megabytes"] for case in cases)
