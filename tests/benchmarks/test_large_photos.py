"""The benchmark of large photographs runs at toy size, and its figures fit together."""

import json
import sys

import pytest

from programs import run_program


def test_both_ways_are_timed_and_compared():
    flags = ["--heights", "600", "--reference_sides", "100", "200", "--rounds=1"]
    done = run_program([sys.executable, "-m", "benchmarks.large_photos", *flags])
    result = json.loads(done.stdout)
    assert result["benchmark"] == "large_photos" and result["rounds"] == 1
    half, whole = result["photos"]
    assert half["photo"] == whole["photo"] == [600, 800]
    assert [half["reference_side"], whole["reference_side"]] == [100, 200]
    for found in (half, whole):
        seconds = found["seconds"]
        assert found["ratio"] == pytest.approx(seconds["whole"] / seconds["reduced"], rel=0.1)
    # Decoded at half its sides, and as it is.
    assert 0 < half["mean_difference"] < 2 and 0.9 < half["sharpness"] < 1.1
    assert whole["mean_difference"] == 0 and whole["sharpness"] == 1
