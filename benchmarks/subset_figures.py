"""Figures of a finished run by subset, and without images that look like training images.

    python -m benchmarks.subset_figures --workdir=runs/photo_quality --split=biq2021_test \
        [--column=subset]

Reads predictions_<split>.csv, and the run's own manifests for `--column` and for what looks alike
(12 bits of 64 and thumbnails that correlate, as data.group_near_duplicates has it). Prints one JSON
object: images, SRCC and PLCC of all rows, of each value of the column, and of the same rows without
look-alikes in `train`. Nothing is fitted here.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from input_pipeline.checks.kept_signatures import KeptSignatures
from input_pipeline.checks.look_alikes import cluster
from input_pipeline.tables.table_files import read_table
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir


def find_clean(manifest, max_pixels: int) -> np.ndarray:
    """Says which images have no look-alike in `train`."""
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptSignatures(manifest, folder, max_pixels)
        kept.make(os.cpu_count() or 1, lambda done: None)
    groups, is_train = cluster(kept.signatures), (manifest.images["split"] == "train").to_numpy()
    return ~np.isin(groups, groups[is_train])


def figures_of(table: pd.DataFrame) -> dict[str, float | int | None]:
    """Gives the figures of some rows."""
    found = score_metrics(table["score"].to_numpy(), table["label"].to_numpy())
    return {"images": len(table)} | {
        name: None if found[name] is None else round(found[name], 4) for name in ("srcc", "plcc")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, type=os.path.expanduser)
    parser.add_argument("--split", required=True)
    parser.add_argument("--column")
    arguments = parser.parse_args()
    workdir = Workdir(arguments.workdir)
    config, about = workdir.config(), workdir.read_json("manifest.json")
    manifest = build.recorded_manifest_from_config(config, about)
    images = manifest.images.assign(is_clean=find_clean(manifest, config.data.max_pixels))
    predictions = pd.read_csv(workdir.folder / f"predictions_{arguments.split}.csv")
    table = predictions.merge(images[["name", "is_clean"]], left_on="path", right_on="name")
    assert len(table) == len(predictions)
    parts = {"all": table}
    if arguments.column:
        known = {}
        for prefix, path in {"": about["path"], **about.get("sets", {})}.items():
            rows = read_table(Path(path))
            if arguments.column in rows:
                names = rows["path"] if not prefix else f"{prefix}/" + rows["path"]
                known |= dict(zip(names, rows[arguments.column], strict=True))
        values = table["path"].map(known)
        parts |= {str(value): rows for value, rows in table.groupby(values)}
    report = {
        name: {"all": figures_of(rows), "no_look_alikes": figures_of(rows[rows["is_clean"]])}
        for name, rows in parts.items()
    }
    print(json.dumps({"workdir": arguments.workdir, "split": arguments.split} | report, indent=2))


if __name__ == "__main__":
    main()
