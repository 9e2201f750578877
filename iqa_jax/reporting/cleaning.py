"""What `--mode=clean` says at its end: what was dropped, examples of it, and what it gained."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.paired import PAIRED, compare_split
from iqa_jax.host.progress import say
from iqa_jax.reporting.pages.cleaning import write_cleaning_page
from iqa_jax.reporting.pages.contact_sheet import COLUMNS, write_contact_sheet
from iqa_jax.reporting.pages.report import Table
from iqa_jax.reporting.reported_run import ReportedRun
from iqa_jax.run.workdir import Workdir


def write_cleaning(
    run: ReportedRun,
    manifest: Manifest,
    source: TileSource,
    tiles: pd.DataFrame,
    folder: Path,
    cleaned: Workdir | None,
    plain: Workdir,
    *,
    filter_name: str,
    folds: int,
    command: str,
) -> None:
    """Writes cleaning.json, dropped_tiles.png and cleaning.html.

    Args:
        run: of the recipe.
        manifest, source: of the images.
        tiles: as `judge_tiles` gives them, and the `reason` of those that are dropped.
        folder: of the filter.
        cleaned: run without the dropped tiles; None if there are none.
        plain: run with them.
        filter_name: which tiles were dropped.
        folds: so many runs judged them.
        command: how it was started.
    """
    classes = list(_count_classes(run.kind.classes, tiles))
    record: dict[str, Any] = {
        "filter": filter_name,
        "folds": folds,
        "command": command,
        "classes": classes,
        "interval": PAIRED,
        # `a` is the cleaned run, `b` the plain one.
        "splits": {
            split: compare_split(split, cleaned, plain, (run.kind, run.kind))
            for split in manifest.splits
            if cleaned and split != "train"
        },
    }
    Workdir(folder).write_text("cleaning.json", json.dumps(record, indent=2))
    sheet = folder / "dropped_tiles.png"
    examples = list(_examples(run.kind.classes, manifest, source, tiles))
    write_contact_sheet(sheet, examples)
    write_cleaning_page(
        folder / "cleaning.html",
        summary=_summarise(filter_name, folds, tiles),
        tables=[_class_table(classes), *_gain_tables(run, record)],
        sheet=sheet,
        command=command,
    )
    say(f"dropped_tiles.csv, dropped_tiles.png, cleaning.json and cleaning.html are in {folder}")


def _count_classes(classes: Sequence[str], tiles: pd.DataFrame) -> Iterator[dict[str, Any]]:
    is_dropped = tiles["reason"] != ""
    for name in classes:
        own = tiles["label"] == name
        whole = (~is_dropped[own]).groupby(tiles["image"][own]).any()
        yield {
            "class": name,
            "tiles": int(own.sum()),
            "dropped": int((own & is_dropped).sum()),
            "images": len(whole),
            "images_without_tiles": int((~whole).sum()),
        }


def _summarise(filter_name: str, folds: int, tiles: pd.DataFrame) -> str:
    return (
        f"{(tiles['reason'] != '').sum()} of {len(tiles)} training tiles are dropped by "
        f"{filter_name}, judged by {folds} runs of which each never saw the "
        "groups that it judges. No tile of any other split is dropped."
    )


def _class_table(classes: list[dict[str, Any]]) -> Table:
    columns = ("Label", "Training tiles", "Dropped", "Share", "Images", "Images left out whole")
    return Table(
        "Dropped per class",
        columns,
        [
            (row["class"], row["tiles"], row["dropped"], row["dropped"] / row["tiles"],
             row["images"], row["images_without_tiles"])
            for row in classes
        ],
    )  # fmt: skip


def _gain_tables(run: ReportedRun, record: dict[str, Any]) -> Iterator[Table]:
    chosen = " The checkpoints were chosen on them." if run.chosen_by else ""
    for split, compared in record["splits"].items():
        yield Table(
            f"With and without the dropped tiles, {split}",
            ("Figure", "Cleaned", "Plain", "Better by", "Lowest", "Highest", "Verdict"),
            [
                (name, row["a"], row["b"], row["difference"], *(row["interval"] or (None, None)),
                 row["verdict"].replace("A is", "cleaned is").replace("B is", "plain is"))
                for name, row in compared["figures"].items()
            ],
            f"{compared['rows']} images in {compared['groups']} groups; the runs are judged by "
            f"{run.metric}. Better by: above 0 where the cleaned run is better, with "
            f"its {record['interval']}." + (chosen if split == "val" else ""),
        )  # fmt: skip


def _examples(
    classes: Sequence[str], manifest: Manifest, source: TileSource, tiles: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    """Chooses, of every class, tiles evenly over their confidence."""
    image_ids = {name: image_id for image_id, name in manifest.images["name"].items()}

    def cut(place) -> np.ndarray:
        layout = source.layout(image_ids[place.image])
        at = (layout.grid.positions == (place.row, place.column)).all(axis=1)
        return source.tiles(image_ids[place.image], layout, np.flatnonzero(at))[0]

    for name in classes:
        for is_dropped, heading in ((True, "dropped"), (False, "kept")):
            part = tiles[(tiles["label"] == name) & ((tiles["reason"] != "") == is_dropped)]
            if part.empty:
                continue
            part = part.sort_values("confidence", kind="stable")
            part = part.iloc[np.linspace(0, len(part) - 1, min(len(part), COLUMNS)).astype(int)]
            yield (
                f"{heading}, labelled {name}; beneath: the probability of that",
                np.stack([cut(place) for place in part.itertuples()]),
                [f"{confidence:.2f}" for confidence in part["confidence"]],
            )
