"""KADID-10k: 81 photographs in 25 kinds and 5 levels of distortion, rated from 1 to 5."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import OpinionSet, find_file, read_csv


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the score table; the distortions of a reference image are a group.

    Two columns are not what they are called. `dmos` goes from 1 (very annoying) to 5
    (imperceptible), so higher is better. `var` is a standard deviation: the first image has
    dmos 4.57 and var .496, and 17 ratings of 5 with 13 of 4, the nearest that 30 ratings with
    that mean can be to each other, have the standard deviation .4955 and the variance .246.
    """
    path = find_file(folder, "dmos.csv")
    table = read_csv(path, ["dist_img", "ref_img", "dmos", "var"])
    references = table.pop("ref_img").map(lambda name: Path(str(name)).stem)
    names = table.pop("dist_img").astype(str)
    return table.rename(columns={"dmos": "mos", "var": "mos_std"}).assign(
        path="images/" + names, group=references
    )


SET = OpinionSet(
    name="kadid10k",
    title="KADID-10k",
    minimum=1.0,
    maximum=5.0,
    higher_is_better=True,
    home="https://database.mmsp-kn.de/kadid-10k-database.html",
    layout="dmos.csv and images/*.png",
    citation="""@inproceedings{lin2019kadid,
  title={KADID-10k: A Large-scale Artificially Distorted IQA Database},
  author={Lin, Hanhe and Hosu, Vlad and Saupe, Dietmar},
  booktitle={International Conference on Quality of Multimedia Experience (QoMEX)}, year={2019}
}""",
    columns=("mos_std",),
    read_scores=read_scores,
)
