"""KonIQ-10k: 10,073 photographs from the web, rated by a crowd from 1 (bad) to 5 (excellent)."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import OpinionSet, find_file, read_csv

_COUNTS = ("c1", "c2", "c3", "c4", "c5")


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the score table; every image is a group of its own.

    `mos`, `mos_std` and the ratings per score `c1` … `c5` belong together. `mos_zscore` is the
    opinion with the raters' habits taken out, on a scale from 0 to 100, which many papers use.
    """
    path = find_file(folder, "koniq10k_scores_and_distributions.csv")
    table = read_csv(path, ["image_name", "MOS", "SD", *_COUNTS, "MOS_zscore"])
    names = table.pop("image_name").astype(str)
    table = table.rename(columns={"MOS": "mos", "SD": "mos_std", "MOS_zscore": "mos_zscore"})
    return table.assign(path="1024x768/" + names, group=names)


SET = OpinionSet(
    name="koniq10k",
    title="KonIQ-10k",
    minimum=1.0,
    maximum=5.0,
    higher_is_better=True,
    home="https://database.mmsp-kn.de/koniq-10k-database.html",
    layout="koniq10k_scores_and_distributions.csv and 1024x768/*.jpg",
    citation="""@article{hosu2020koniq,
  title={KonIQ-10k: An Ecologically Valid Database for Deep Learning of Blind Image Quality
    Assessment},
  author={Hosu, Vlad and Lin, Hanhe and Sziranyi, Tamas and Saupe, Dietmar},
  journal={IEEE Transactions on Image Processing}, volume={29}, pages={4041--4056}, year={2020}
}""",
    columns=("mos_std", *_COUNTS, "mos_zscore"),
    read_scores=read_scores,
)
