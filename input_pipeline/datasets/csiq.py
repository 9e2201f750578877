"""CSIQ: 30 pictures in 6 kinds of distortion, 4 or 5 levels each; DMOS from 0 (as good) to 1."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import OpinionSet, find_file, names_on_disk, read_sheet

_KINDS = {
    "noise": "awgn",
    "blur": "blur",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "jpeg",
    "jpeg 2000": "jpeg2000",
}


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the sheet `all_by_image`; the distortions of a reference image are a group.

    The score is a difference to the reference, so lower is better. Files are named after the
    reference, the kind of distortion (in one letter case or the other) and its level, as
    `1600.AWGN.1.png`, in a folder per kind.
    """
    path = find_file(folder, "csiq.DMOS.xlsx")
    table = read_sheet(
        path, "all_by_image", ["image", "dst_type", "dst_lev", "dmos", "dmos_std"]
    )  # fmt: skip
    references = table["image"].map(_write_whole)
    kinds = table["dst_type"].astype(str).str.strip().str.lower().replace(_KINDS)
    names = references + "." + kinds + "." + table["dst_lev"].map(_write_whole) + ".png"
    on_disk = names_on_disk(folder / "dst_imgs", "**/*.png")
    unplaced = kinds + "/" + names
    paths = [
        f"dst_imgs/{on_disk.get(name.lower(), place)}"
        for name, place in zip(names, unplaced, strict=True)
    ]
    return table.rename(columns={"dmos": "mos", "dmos_std": "mos_std"}).assign(
        path=paths, group=references
    )


def _write_whole(cell: object) -> str:
    """Writes a cell as text: Excel takes the picture called 1600 for a number."""
    if isinstance(cell, (int, float)) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


SET = OpinionSet(
    name="csiq",
    title="CSIQ",
    minimum=0.0,
    maximum=1.0,
    higher_is_better=False,
    home="https://s2.smu.edu/~eclarson/csiq.html",
    layout="csiq.DMOS.xlsx and dst_imgs/<kind>/*.png",
    citation="""@article{larson2010most,
  title={Most Apparent Distortion: Full-Reference Image Quality Assessment and the Role of
    Strategy},
  author={Larson, Eric C. and Chandler, Damon M.},
  journal={Journal of Electronic Imaging}, volume={19}, number={1}, year={2010}
}""",
    columns=("mos_std",),
    read_scores=read_scores,
)
