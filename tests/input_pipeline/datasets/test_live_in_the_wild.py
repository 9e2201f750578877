"""LIVE In the Wild: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["live_in_the_wild"].table(layouts["live_in_the_wild"])
    # The seven images that taught the raters are no part of the set; t9.bmp is none of them.
    assert table["path"].tolist() == [
        "Images/3.bmp", "Images/5.bmp", "Images/1024.JPG", "Images/t9.bmp",
    ]  # fmt: skip
    assert table["mos"].tolist() == [70, 80, 90, 100]
    assert table["mos_std"].tolist() == [7.5, 8.5, 9.5, 10.5]
