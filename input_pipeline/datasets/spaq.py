"""SPAQ: 11,125 photographs by 66 phones, rated in a laboratory from 0 to 100."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import OpinionSet, find_file, read_sheet

_ATTRIBUTES = ("Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the Excel table; every image is a group of its own.

    The scores of five attributes are kept beside the opinion; the set has no spread of opinions.
    """
    # Some copies of the file have underscores for the spaces of its name.
    path = find_file(folder, "Annotations/MOS?and?Image?attribute?scores.xlsx")
    table = read_sheet(path, 0, ["Image name", "MOS", *_ATTRIBUTES])
    names = table.pop("Image name").astype(str).str.strip()
    return table.rename(columns=str.lower).assign(path="TestImage/" + names, group=names)


SET = OpinionSet(
    name="spaq",
    title="SPAQ",
    minimum=0.0,
    maximum=100.0,
    higher_is_better=True,
    home="https://github.com/h4nwei/SPAQ",
    layout='"Annotations/MOS and Image attribute scores.xlsx" and TestImage/*.jpg',
    citation="""@inproceedings{fang2020perceptual,
  title={Perceptual Quality Assessment of Smartphone Photography},
  author={Fang, Yuming and Zhu, Hanwei and Zeng, Yan and Ma, Kede and Wang, Zhou},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition}, year={2020}
}""",
    columns=tuple(name.lower() for name in _ATTRIBUTES),
    read_scores=read_scores,
)
