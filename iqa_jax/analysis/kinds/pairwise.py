"""What answers to pairs and rankings mean."""

import numpy as np
import pandas as pd


def pairs_by_figure(kind: str, pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Gives the pairs that each figure of a label kind is over: [pair, 2] better and worse."""
    names = ("pair_accuracy",)
    if kind == "ranking":
        names += ("unseen_pair_accuracy",)
    ends = pairs[["better", "worse"]].to_numpy()
    return {name: ends[(pairs["figure"] == name).to_numpy()] for name in names}
