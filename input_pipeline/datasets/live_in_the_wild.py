"""LIVE In the Wild: photographs as phones take them, rated by a crowd from 0 to 100."""

from pathlib import Path

import numpy as np
import pandas as pd

from input_pipeline.datasets.layouts import LayoutError, OpinionSet, find_file

_VARIABLES = {"path": "AllImages_release", "mos": "AllMOS_release", "mos_std": "AllStdDev_release"}


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the MATLAB files of `Data/`; every image is a group of its own.

    The first seven images, t1 to t7, taught the raters their task. They are left out, as in the
    figures that are published for the set: 1162 images remain.
    """
    columns = {column: _read_variable(folder, name) for column, name in _VARIABLES.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise LayoutError(f"{folder / 'Data'}: the MATLAB files differ in length: {lengths}.")
    table = pd.DataFrame(columns)
    table = table[~table["path"].str.fullmatch(r"t[1-7]\.\w+", case=False)]
    return table.assign(path="Images/" + table["path"], group=table["path"])


def _read_variable(folder: Path, name: str) -> list:
    from scipy.io import loadmat

    path = find_file(folder, f"Data/{name}.mat")
    try:
        values = loadmat(path)[name].ravel()
    except Exception as error:  # SciPy raises many types for damaged files.
        raise LayoutError(f"{path}: this MATLAB file has no readable {name} ({error}).") from error
    # A cell array of texts comes as an array of arrays of one text each.
    return [str(np.ravel(value)[0]) if values.dtype == object else float(value) for value in values]


SET = OpinionSet(
    name="live_in_the_wild",
    title="the LIVE In the Wild Image Quality Challenge Database",
    minimum=0.0,
    maximum=100.0,
    higher_is_better=True,
    home="https://live.ece.utexas.edu/research/ChallengeDB/",
    layout="Data/AllImages_release.mat, Data/AllMOS_release.mat, Data/AllStdDev_release.mat and "
    "Images/*",
    citation="""@article{ghadiyaram2016massive,
  title={Massive Online Crowdsourced Study of Subjective and Objective Picture Quality},
  author={Ghadiyaram, Deepti and Bovik, Alan C.},
  journal={IEEE Transactions on Image Processing}, volume={25}, number={1}, pages={372--387},
  year={2016}
}""",
    columns=("mos_std",),
    read_scores=read_scores,
)
