"""TID2013: 25 pictures in 24 kinds and 5 levels of distortion, scored from 0 to 9."""

from pathlib import Path

import pandas as pd

from input_pipeline.datasets.layouts import LayoutError, OpinionSet, find_file, names_on_disk


def read_scores(folder: Path) -> pd.DataFrame:
    """Reads the two score files; the distortions of a reference image are a group.

    `mos_std` is as the set has it, and far too small for the spread of single opinions: it is the
    uncertainty of the mean.
    """
    scores, deviations = (
        find_file(folder, name).read_text(errors="replace").splitlines()
        for name in ("mos_with_names.txt", "mos_std.txt")
    )
    rows = [line.split() for line in scores if line.strip()]
    odd = [" ".join(row) for row in rows if len(row) != 2]
    if odd:
        raise LayoutError(
            f"{folder / 'mos_with_names.txt'}: the line {odd[0]!r} is no score and name."
        )
    stds = [line.strip() for line in deviations if line.strip()]
    if len(stds) != len(rows):
        raise LayoutError(
            f"{folder / 'mos_std.txt'}: has {len(stds)} lines where mos_with_names.txt has "
            f"{len(rows)}."
        )
    table = pd.DataFrame(rows, columns=["mos", "name"]).assign(mos_std=stds)
    on_disk = names_on_disk(folder / "distorted_images")
    paths = [f"distorted_images/{on_disk.get(name.lower(), name)}" for name in table["name"]]
    groups = [name.lower().partition("_")[0] for name in table["name"]]
    return table.assign(path=paths, group=groups)


SET = OpinionSet(
    name="tid2013",
    title="TID2013",
    minimum=0.0,
    maximum=9.0,
    higher_is_better=True,
    home="https://www.ponomarenko.info/tid2013.htm",
    layout="mos_with_names.txt, mos_std.txt and distorted_images/*.bmp",
    citation="""@article{ponomarenko2015image,
  title={Image Database TID2013: Peculiarities, Results and Perspectives},
  author={Ponomarenko, Nikolay and Jin, Lina and Ieremeiev, Oleg and Lukin, Vladimir and
    Egiazarian, Karen and Astola, Jaakko and Vozel, Benoit and Chehdi, Kacem and Carli, Marco and
    Battisti, Federica and Kuo, C.-C. Jay},
  journal={Signal Processing: Image Communication}, volume={30}, pages={57--77}, year={2015}
}""",
    columns=("mos_std",),
    read_scores=read_scores,
)
