"""KADID-10k: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["kadid10k"].table(layouts["kadid10k"])
    assert table["path"][0] == "images/I01_01_01.png" and table["mos_std"][0] == 0.496
