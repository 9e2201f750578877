"""The benchmark of the train loop runs, and gives both sides."""

import json

import pytest

from benchmarks import train_loop


@pytest.mark.usefixtures("one_device")
def test_both_sides_are_measured(capsys):
    toy = "--encoder=shallow_cnn --batch=4 --tile=32 --photo=64 --steps=2 --rounds=1"
    train_loop.main(toy.split())
    # One object and nothing else: what the runs say goes to the error stream.
    result = json.loads(capsys.readouterr().out)
    rates = result["tiles_per_second"]
    assert rates["loop"] > 0 and rates["bare_step"] > 0
    assert len(result["ratios"]) == 1 and result["ratio"] > 0
    assert 0 <= result["waiting_for_data"] <= 1
    # The loop's first step is not timed.
    assert result["photos"][0] * 4 == (2 + 1) * 4
