"""What a published set of opinion scores is, and what its reader owes."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from input_pipeline.extras import extra


class LayoutError(ValueError):
    """Says what a folder lacks to be the set, where to get it and where to put it."""


@dataclasses.dataclass(frozen=True)
class OpinionSet:
    """A set of images with the mean opinion of people about each.

    Attributes:
        name: of the set, as in `tfds.load`.
        title: as its makers write it.
        minimum, maximum: the scale of its column `mos`.
        higher_is_better: direction of that column, whatever the set calls it.
        home: web page where it is to be had.
        layout: the files that its folder holds, as the set comes.
        citation: BibTeX of the paper to cite.
        columns: numeric columns besides `mos`: `mos_std` (standard deviation of the opinions),
            ratings per score, other scores.
        read_scores: folder -> the table of `table`, in the order of the score file.
        text_columns: columns of text, such as the part of the set that an image is of.
        splits: names of the splits that its makers publish with it; empty where there are none.
    """

    name: str
    title: str
    minimum: float
    maximum: float
    higher_is_better: bool
    home: str
    layout: str
    citation: str
    columns: tuple[str, ...]
    read_scores: Callable[[Path], pd.DataFrame]
    text_columns: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()

    @property
    def instructions(self) -> str:
        """Says where to get the set and how its folder must look."""
        return f"Get {self.title} from {self.home} and unpack it to a folder with {self.layout}."

    def table(self, folder: str | Path) -> pd.DataFrame:
        """Reads what the set's original folder says of its images.

        Args:
            folder: as its makers give it out.

        Returns:
            One row per rated image: `path` (relative to the folder, whether or not the file is
            there), `mos` (on the declared scale and in its direction), `group` (the reference
            image whose distortions share it, else the image itself), then `columns`,
            `text_columns` and, where the set has splits, `split`.

        Raises:
            LayoutError: a score file is missing or not as described.
        """
        try:
            table = self.read_scores(Path(folder))
        except LayoutError as error:
            raise LayoutError(f"{error} {self.instructions}") from error
        if table.empty:
            raise LayoutError(f"{folder}: the score file rates no image. {self.instructions}")
        for name in ("mos", *self.columns):
            values = pd.to_numeric(table[name], errors="coerce")
            low, high = (self.minimum, self.maximum) if name == "mos" else (-np.inf, np.inf)
            is_bad = ~(np.isfinite(values) & (values >= low) & (values <= high))
            if is_bad.any():
                row = table[is_bad].iloc[0]
                scale = f" from {low:g} to {high:g}" if name == "mos" else ""
                raise LayoutError(
                    f"{folder}: the score file gives {row['path']} {name} = {row[name]!r}, which "
                    f"is no number{scale}. {self.instructions}"
                )
            table[name] = values.astype(np.float64)
        names = ["path", "mos", "group", *self.columns, *self.text_columns]
        return table[[*names, *(["split"] if self.splits else [])]].reset_index(drop=True)


def find_file(folder: Path, pattern: str) -> Path:
    """Finds a file of a set's folder by a pattern that one file fits.

    Raises:
        LayoutError: there is none.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise LayoutError(f"{folder / pattern.replace('?', ' ')}: there is no such file.")
    return found[0]


def need_columns(path: Path, table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Gives the columns of a score file, by their names without spaces around them.

    Raises:
        LayoutError: one is missing.
    """
    table = table.rename(columns=lambda name: str(name).strip())
    names = list(names)
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise LayoutError(
            f"{path}: there is no column {missing[0]!r}; the columns are "
            f"{', '.join(table.columns)}."
        )
    return table[names]


def read_csv(path: Path, names: Iterable[str]) -> pd.DataFrame:
    """Reads columns of a comma-separated score file.

    Raises:
        LayoutError: it is none, or a column is missing.
    """
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise LayoutError(f"{path}: this is no comma-separated table ({error}).") from error
    return need_columns(path, table, names)


def read_sheet(path: Path, sheet: str | int, names: Iterable[str]) -> pd.DataFrame:
    """Reads columns of a sheet of an Excel file, wherever on the sheet their table begins.

    Raises:
        LayoutError: it is no Excel file, or the sheet or a column is missing.
    """
    with extra("train"):
        import openpyxl  # noqa: F401, pandas reads the file with it.
    names = list(names)
    try:
        cells = pd.read_excel(path, sheet_name=sheet, header=None, engine="openpyxl")
    except Exception as error:  # openpyxl and zipfile raise many types for damaged files.
        raise LayoutError(f"{path}: this Excel file cannot be read ({error}).") from error
    texts = cells.map(lambda cell: str(cell).strip())
    is_header = texts.apply(lambda row: set(names) <= set(row), axis=1)
    if not is_header.any():
        raise LayoutError(f"{path}: no row of the sheet has the headings {', '.join(names)}.")
    start = int(np.argmax(is_header))
    table = cells.iloc[start + 1 :].set_axis(texts.iloc[start], axis=1)[names]
    return table.dropna(subset=names[:1])


def names_on_disk(folder: Path, pattern: str = "*") -> dict[str, str]:
    """Lists files by their lower-case name: score files and images disagree in letter case.

    Args:
        folder: to list.
        pattern: of the files; `**/*` with those of subfolders.

    Returns:
        Lower-case name -> path relative to the folder.
    """
    return {path.name.lower(): path.relative_to(folder).as_posix() for path in folder.glob(pattern)}


def missing_images(folder: Path, table: pd.DataFrame) -> list[str]:
    """Lists the images of a table whose files are not in the folder."""
    return [path for path in table["path"] if not (folder / path).is_file()]
