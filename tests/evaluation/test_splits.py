"""The figures of a run are those of its own tables."""

import json

import numpy as np
import pandas as pd
import pytest


def test_metrics_are_those_of_the_predictions(tiny_run):
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    assert set(metrics) == {"val", "test"}
    table = pd.read_csv(tiny_run / "predictions_test.csv")
    assert len(table) == metrics["test"]["rows"] == 7
    good = table[table["label"] == "good"]["score"].to_numpy()
    bad = table[table["label"] == "bad"]["score"].to_numpy()
    auroc = np.mean([(g > b) + (g == b) / 2 for g in good for b in bad])
    assert metrics["test"]["auroc"] == pytest.approx(auroc)
    # The thresholds of the three-class answer are fitted on val, so no figure is given there.
    assert "three_class" in metrics["test"] and "three_class" not in metrics["val"]
