"""SPAQ: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["spaq"].table(layouts["spaq"])
    row = table.iloc[1]
    assert row["path"] == "TestImage/00002.jpg" and row["mos"] == 40
    assert row["sharpness"] == 55.5 and row["noisiness"] == 54
