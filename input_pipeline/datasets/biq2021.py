"""BIQ2021: 12,000 photographs of 512×512 pixels, rated in a laboratory from 0 to 1."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import OpinionSet, find_file, names_on_disk, read_csv

_SPLITS = {"train": "Train", "test": "Test"}


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the two score tables, which are the authors' splits; every image is its own group.

    `subset` is the first part of a file's name: `ss01` an album of 2007 to 2020, `ss02` faults made
    on purpose, `ss03` Unsplash. Many photographs of the first two show one scene again and again,
    and the authors' splits share such scenes. The set has no spread of opinions.
    """
    # By the name without regard to case, as one file is called .JPG.
    on_disk = names_on_disk(folder / "Images")
    tables = [
        # Some copies of the files have underscores for the spaces of their names.
        read_csv(find_file(folder, f"{name}?(Images?and?MOS).csv"), ["Image Name", "MOS"]).assign(
            split=split
        )
        for split, name in _SPLITS.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    names = table.pop("Image Name").astype(str).str.strip()
    return table.rename(columns={"MOS": "mos"}).assign(
        path="Images/" + names.map(lambda name: on_disk.get(name.lower(), name)),
        group=names,
        subset=names.str.partition(" ")[0],
    )


SET = OpinionSet(
    name="biq2021",
    title="BIQ2021",
    minimum=0.0,
    maximum=1.0,
    higher_is_better=True,
    home="https://github.com/nisarahmedrana/BIQ2021",
    layout='"Train (Images and MOS).csv", "Test (Images and MOS).csv" and Images/*.jpg',
    citation="""@article{ahmed2022biq2021,
  title={BIQ2021: a large-scale blind image quality assessment database},
  author={Ahmed, Nisar and Asif, Shahzad},
  journal={Journal of Electronic Imaging}, volume={31}, number={5}, pages={053010}, year={2022}
}""",
    columns=(),
    text_columns=("subset",),
    splits=tuple(_SPLITS),
    read_scores=read_scores,
)
