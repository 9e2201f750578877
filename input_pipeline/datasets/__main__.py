"""Writes a manifest for a published set of opinion scores, from its original folder.

python -m input_pipeline.datasets koniq10k --folder=FOLDER --output=FOLDER/manifest.csv
"""

import argparse
import os
from pathlib import Path

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.layouts import LayoutError, OpinionSet, missing_images

_SHOWN = 5
SOME_MISSING = 3


def write_manifest(
    opinion_set: OpinionSet, folder: str | Path, output: str | Path, *, has_splits: bool = True
) -> tuple[int, list[str]]:
    """Writes the images of a set as a manifest, those that are there.

    Args:
        opinion_set: the set.
        folder: as its makers give it out.
        output: the `.csv` to write; paths in it are relative to its own folder.
        has_splits: whether the manifest is to have the splits that the set's makers publish;
            without them whoever reads it draws some.

    Returns:
        How many images it names, and the paths of those whose files are missing.

    Raises:
        LayoutError: the folder is not that of the set, or holds none of its images.
        OSError: the manifest cannot be written.
    """
    folder, output = Path(folder), Path(output)
    table = opinion_set.table(folder)
    missing = missing_images(folder, table)
    if len(missing) == len(table):
        raise LayoutError(
            f"{folder}: none of the {len(table)} rated images is there, such as {missing[0]}. "
            f"{opinion_set.instructions}"
        )
    table = table[~table["path"].isin(missing)]
    prefix = Path(os.path.relpath(folder.absolute(), output.absolute().parent))
    table = table.assign(path=[(prefix / path).as_posix() for path in table["path"]])
    if opinion_set.splits and not has_splits:
        table = table.drop(columns="split")
    part = output.with_name(output.name + ".part")
    table.to_csv(part, index=False)
    part.replace(output)
    return len(table), missing


def main() -> int:
    """Writes a manifest from the command line and says how to train on it."""
    parser = argparse.ArgumentParser(prog="python -m input_pipeline.datasets")
    parser.add_argument("name", choices=DATASETS, help="the set")
    path = {"required": True, "type": os.path.expanduser}
    parser.add_argument("--folder", **path, help="its original folder")
    parser.add_argument("--output", **path, help="the manifest to write: a .csv file")
    parser.add_argument(
        "--split",
        choices=("authors", "drawn"),
        default="authors",
        help="authors: the column split of a set that comes with one; drawn: no such column, so "
        "that training draws splits by group",
    )
    arguments = parser.parse_args()
    opinion_set = DATASETS[arguments.name]
    try:
        count, missing = write_manifest(
            opinion_set,
            arguments.folder,
            arguments.output,
            has_splits=arguments.split == "authors",
        )
    except (LayoutError, OSError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{count} images of {opinion_set.title}: {arguments.output}. Train on it:")
    print(
        f"python main.py --config=configs/mos.py --config.data.manifest={arguments.output} "
        f"--config.data.minimum={opinion_set.minimum} "
        f"--config.data.maximum={opinion_set.maximum} "
        f"--config.data.higher_is_better={opinion_set.higher_is_better} --workdir=DIR"
    )
    if missing:
        rest = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        print(f"left out, for their files are missing: {', '.join(missing[:_SHOWN])}{rest}")
    return SOME_MISSING if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
