"""TID2013: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["tid2013"].table(layouts["tid2013"])
    assert table["path"][0] == "distorted_images/i01_01_1.bmp"
    assert table["mos"].tolist()[:2] == [5.51429, 3.1] and table["mos_std"][0] == 0.13013
