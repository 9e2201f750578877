"""CSIQ: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["csiq"].table(layouts["csiq"])
    assert table["path"][0] == "dst_imgs/awgn/1600.AWGN.1.png"
    assert table["path"][3] == "dst_imgs/jpeg2000/1600.jpeg2000.5.png"
    assert table["mos"].tolist()[:2] == [0.062, 0.875] and len(table) == 16
