"""What metrics.json says beyond plain figures, and the disagreement of two test sets."""

import json

import pandas as pd
import pytest

from iqa_jax.analysis.metrics import class_metrics
from iqa_jax.evaluation.split_figures import format_splits, note_disagreement


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


def test_many_figures_of_one_cause_make_one_sentence():
    metrics = {"test": make_split(0.9, 0.85, 0.95), "holdout": make_split(0.7, 0.6, 0.8)}
    for split, ece in (("test", 0.3), ("holdout", 0.1)):
        metrics[split]["ece"] = ece
        metrics[split]["intervals"]["ece"] = [ece - 0.05, ece + 0.05]
    note_disagreement(metrics)
    (sentence,) = metrics["holdout"]["disagrees_with_test"]
    assert "auroc is 0.9" in sentence and "ece is 0.3" in sentence
    assert sentence.count("beyond their intervals") == 1


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
    test = metrics["test"]
    # One scene is tested: one group has no interval.
    assert test["groups"] == 1 and set(test["intervals"].values()) == {None}
    assert test["intervals"].keys() == test["fusions"]["vote"]["intervals"].keys()

    # Calibration against the table of predictions.
    table = pd.read_csv(tiny_run / "predictions_test.csv")
    table = table[table["label"] != "marginal"]
    values = table[["p_bad", "p_good"]].to_numpy()
    labels = (table["label"] == "good").to_numpy().astype(int)
    found, expected = test["calibration"], class_metrics(values, labels, is_ordered=True)["ece"]
    assert test["ece"] == pytest.approx(expected) and found["ece"] == pytest.approx(expected)
    assert found["fitted_on"] == "val" and found["ece_raw"] != found["ece"]
    for name in ("reliability", "reliability_raw"):
        assert sum(row["count"] for row in found[name]) == len(labels)
    wrong = (values.argmax(axis=1) != labels).mean()
    assert test["selective"]["full_risk"] == pytest.approx(wrong)
    assert test["selective"]["best_aurc"] <= test["selective"]["aurc"]
