"""A set of opinion scores without opinions: good photographs, degraded by known amounts.

    python -m input_pipeline.degraded_photos --manifest=biq2021/manifest.csv --least=0.75 \
        --output=degraded

Photographs that people took hold few of the faults that a codec, a sensor or a bad copy can make,
and none of the worst: a scorer that knows only them finds a picture blurred beyond recognition
rather good. So this set goes beside the others, as one of `data.manifests` with a scale of its own.

A photograph is brought down to the size that it will be judged at, and is written as it is, with
score 1, and in a few versions. The score of a version falls in equal steps with the level of its
distortion, of which the fifth ruins a picture (`WORST`).
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from input_pipeline.distortions.catalogue import LEVELS, distort
from input_pipeline.files.images import ImageError, load
from input_pipeline.files.reduction import Reduction
from input_pipeline.tables.table_files import ManifestError, read_table

# By how much the fifth level of a kind lowers the score. Kinds that may be meant, or that lose a
# part of the picture only, are left out. Chosen by looking at the levels.
WORST = {
    "gaussian_blur": 1.0,
    "motion_blur": 1.0,
    "resampling": 1.0,
    "white_noise": 1.0,
    "jpeg": 1.0,
    "jpeg2000": 1.0,
    "webp": 1.0,
    "over_exposure": 1.0,
    "under_exposure": 1.0,
    "chroma_noise": 0.6,
    "multiplicative_noise": 0.6,
    "impulse_noise": 0.6,
    "contrast_loss": 0.6,
    "colour_quantisation": 0.6,
}
SIDE = 512  # Of the shorter side, in pixels.


class Version(NamedTuple):
    """One degradation: a key of `WORST`, and its level from 1 to 5."""

    kind: str
    level: int


def score_of(version: Version) -> float:
    """Gives the score of a version, from 0 (ruined) to 1 (as photographed)."""
    return 1 - WORST[version.kind] * version.level / max(LEVELS)


def draw_versions(photos: int, versions: int, seed: int) -> list[list[Version]]:
    """Draws the versions of each photograph, of different kinds; over all, each is as frequent.

    Args:
        photos: how many there are.
        versions: of each, no more than there are kinds.
        seed: same seed, same versions.
    """
    rng = np.random.default_rng(seed)
    every = [Version(kind, level) for kind in WORST for level in LEVELS]
    left: list[Version] = []
    drawn = []
    for _ in range(photos):
        own: list[Version] = []
        while len(own) < versions:
            taken = {version.kind for version in own}
            place = next((i for i, one in enumerate(left) if one.kind not in taken), None)
            if place is None:
                left += [every[number] for number in rng.permutation(len(every))]
            else:
                own.append(left.pop(place))
        drawn.append(own)
    return drawn


def choose_photos(
    manifest: Path, column: str, least: float, split: str, photos: int, seed: int
) -> list[Path]:
    """Chooses photographs of a manifest at random among those that are good.

    Args:
        manifest: CSV or Parquet with `path`, a column of scores and, maybe, `split`.
        column: of the scores.
        least: score of a good photograph.
        split: where there are splits, photographs of this one alone.
        photos: how many, at most.
        seed: of the draw.

    Raises:
        ManifestError: the table has no such column, or no such photograph.
    """
    table = read_table(manifest)
    if column not in table:
        raise ManifestError(manifest, [f"it has no column {column!r}; give --label=COLUMN"])
    is_good = pd.to_numeric(table[column], errors="coerce") >= least
    if "split" in table:
        is_good &= table["split"] == split
    paths = table.loc[is_good, "path"].tolist()
    if not paths:
        raise ManifestError(manifest, [f"no image of {split!r} has {column} of {least} or more"])
    order = np.random.default_rng(seed).permutation(len(paths))[:photos]
    return [Path(os.path.normpath(manifest.parent / paths[number])) for number in order]


def write_versions(photos: list[Path], versions: int, seed: int, folder: Path) -> Iterator[dict]:
    """Writes every photograph and its versions as PNG, and gives their rows.

    Args:
        photos: files; one that cannot be read is left out, with a line that says so.
        versions: of each, besides itself.
        seed: of the draws and of what is random in a distortion.
        folder: of the pictures, which is there.
    """
    for number, own in enumerate(draw_versions(len(photos), versions, seed)):
        try:
            photo = Reduction(reference_side=SIDE).apply(load(photos[number]))
        except ImageError as error:
            print(f"left out: {error}", flush=True)
            continue
        rng = np.random.default_rng([seed, number])
        pictures: dict[str, tuple[np.ndarray, float, str, int]] = {"original": (photo, 1.0, "", 0)}
        for version in own:
            degraded = distort(photo, version.kind, version.level, rng)
            name = f"{version.kind}_{version.level}"
            pictures[name] = (degraded, score_of(version), version.kind, version.level)
        for name, (picture, score, kind, level) in pictures.items():
            path = folder / f"{number:05d}_{name}.png"
            Image.fromarray(picture).save(path, compress_level=1)
            yield {
                "path": f"{folder.name}/{path.name}", "mos": round(score, 4),
                "group": photos[number].name, "split": "train", "kind": kind, "level": level,
            }  # fmt: skip


def main() -> None:
    """Writes the set from the command line and says how to train on it."""
    parser = argparse.ArgumentParser(
        prog="python -m input_pipeline.degraded_photos", description=str(__doc__).splitlines()[0]
    )
    path = {"required": True, "type": lambda text: Path(os.path.expanduser(text))}
    parser.add_argument("--manifest", **path, help="table of photographs with scores")
    parser.add_argument("--output", **path, help="folder to write to")
    parser.add_argument("--label", default="mos", help="column of the scores, higher is better")
    parser.add_argument("--least", type=float, required=True, help="score of a good photograph")
    parser.add_argument("--split", default="train", help="take photographs of this split alone")
    parser.add_argument("--photos", type=int, default=300, help="how many")
    parser.add_argument("--versions", type=int, default=4, help="of each, besides itself")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not 1 <= arguments.versions <= len(WORST):
        parser.error(f"--versions is {arguments.versions}; give a number from 1 to {len(WORST)}")
    output, rows = arguments.output, []
    try:
        photos = choose_photos(
            arguments.manifest, arguments.label, arguments.least, arguments.split,
            arguments.photos, arguments.seed,
        )  # fmt: skip
        (output / "images").mkdir(parents=True, exist_ok=True)
        total = len(photos) * (arguments.versions + 1)
        for row in write_versions(photos, arguments.versions, arguments.seed, output / "images"):
            rows.append(row)
            if len(rows) % 100 == 0:
                print(f"{len(rows)}/{total} pictures", flush=True)
        part = output / "manifest.csv.part"
        pd.DataFrame(rows).to_csv(part, index=False)
        part.replace(output / "manifest.csv")
    except (ManifestError, OSError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{len(rows)} pictures: {output / 'manifest.csv'}; scores from 0 to 1, in column mos.")


if __name__ == "__main__":
    main()
