"""BIQ2021: scores are read as its makers write them."""

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["biq2021"].table(layouts["biq2021"])
    assert table["path"].tolist() == [
        "Images/ss03 (3753).jpg", "Images/ss02 (1014).JPG", "Images/ss01 (9).jpg",
        "Images/ss03 (1).jpg",
    ]  # fmt: skip
    assert table["mos"].tolist() == [0.8471, 0, 0.2874, 1]
    assert table["subset"].tolist() == ["ss03", "ss02", "ss01", "ss03"]
    assert table["split"].tolist() == ["train", "train", "train", "test"]
