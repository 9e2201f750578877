"""KonIQ-10k: scores are read as its makers write them."""

import numpy as np

from input_pipeline.datasets import DATASETS


def test_scores_are_read_as_written(layouts):
    table = DATASETS["koniq10k"].table(layouts["koniq10k"])
    row = table.iloc[0]
    assert row["path"] == "1024x768/10004473376.jpg"
    assert row["mos_zscore"] == 70.8 and row["mos_std"] == 0.527278
    counts = table[["c1", "c2", "c3", "c4", "c5"]].to_numpy()
    means = counts @ np.arange(1, 6) / counts.sum(axis=1)
    np.testing.assert_allclose(table["mos"], means, atol=1e-9)
