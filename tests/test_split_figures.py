"""What metrics.json says beyond plain figures, and the disagreement of two test sets."""

import json

import pandas as pd
import pytest

from iqa_jax.analysis.calibration import apply_temperature, expected_calibration_error
from iqa_jax.split_figures import format_splits, note_disagreement


def make_split(auroc: float, low: float, high: float, groups: int = 40) -> dict:
    intervals = {"auroc": [low, high], "f1": None}
    return {"fusion": "vote", "auroc": auroc, "f1": None, "groups": groups, "intervals": intervals}


def test_splits_that_do_not_meet_disagree():
    metrics = {"test": make_split(0.9, 0.85, 0.95), "holdout": make_split(0.7, 0.6, 0.8)}
    note_disagreement(metrics)
    (sentence,) = metrics["holdout"]["disagrees_with_test"]
    assert "auroc is 0.9 [0.85, 0.95] on test and 0.7 [0.6, 0.8] on holdout" in sentence
    assert "disagrees_with_test" not in metrics["test"] and "fewer than" not in sentence
    metrics["test"]["groups"] = 3
    note_disagreement(metrics)
    assert "fewer than 20 groups" in metrics["holdout"]["disagrees_with_test"][0]


def test_splits_that_meet_do_not():
    metrics = {"test": make_split(0.9, 0.75, 0.95), "holdout": make_split(0.7, 0.6, 0.8)}
    note_disagreement(metrics)
    assert metrics["holdout"]["disagrees_with_test"] == []
    alone = {"holdout": make_split(0.7, 0.6, 0.8)}
    note_disagreement(alone)
    assert "disagrees_with_test" not in alone["holdout"]


def test_both_stand_side_by_side():
    metrics = {"test": make_split(0.9, 0.85, 0.95, 5), "holdout": make_split(0.7, 0.6, 0.8)}
    heading, auroc, f1, groups, warning = format_splits(metrics)
    assert heading.split() == ["vote", "test", "holdout"]
    assert "0.9 [0.85, 0.95]" in auroc and "0.7 [0.6, 0.8]" in auroc
    assert f1.split() == ["f1", "undefined", "undefined"]
    assert "5 in test, 40 in holdout" in groups and "too narrow" in warning
    assert format_splits({"val": make_split(0.9, 0.8, 1.0)}) == []


def test_a_finished_run_says_how_sure_it_is(tiny_run):
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    test, val = metrics["test"], metrics["val"]
    # One scene is tested: one group has no interval.
    assert test["groups"] == 1 and set(test["intervals"].values()) == {None}
    assert test["intervals"].keys() == test["fusions"]["vote"]["intervals"].keys()

    # Calibration and temperature against the table of predictions.
    table = pd.read_csv(tiny_run / "predictions_test.csv")
    table = table[table["label"] != "marginal"]
    values = table[["p_bad", "p_good"]].to_numpy()
    labels = (table["label"] == "good").to_numpy().astype(int)
    found = test["calibration"]
    assert found["ece"] == pytest.approx(expected_calibration_error(values, labels))
    scaled = apply_temperature(values, found["temperature"])
    assert found["ece_scaled"] == pytest.approx(expected_calibration_error(scaled, labels))
    assert sum(row["count"] for row in found["reliability"]) == len(labels)
    assert json.loads((tiny_run / "temperature.json").read_text()) == {
        "step": test["step"], "temperature": found["temperature"],
    }  # fmt: skip
    # No scaled figure on the rows that the temperature was fitted on.
    assert "ece" in val["calibration"] and "ece_scaled" not in val["calibration"]
    wrong = (values.argmax(axis=1) != labels).mean()
    assert test["selective"]["full_risk"] == pytest.approx(wrong)
    assert test["selective"]["best_aurc"] <= test["selective"]["aurc"]
