"""The embedded data set: photographs that installed packages ship, clean and degraded.

`python -m input_pipeline.sample_photos --output=data/sample_photos` writes ordinary image files
and a manifest, so that training on it is what a user does with a folder of their own. Nothing is
downloaded.

Every image, good or bad, is a crop of a scene that was scaled down by a random factor and saved
as PNG under a number that says nothing; only the degradation tells the labels apart. Crops
without edges are left out before anything is degraded: blurred sky is still a good sky.
"""

import argparse
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Bool, UInt8
from PIL import Image

from input_pipeline.distortions.catalogue import LEVELS, distort, distort_region
from input_pipeline.files import images
from input_pipeline.tiles import tiling


class Scene(NamedTuple):
    """Where a photograph comes from, and the split that all its versions belong to."""

    package: str
    file: str
    split: str


# Every split mixes kinds of scene: people, objects, outdoors, texture. Chosen by looking at the
# photographs, before any model was trained. Technical pictures that the packages also ship
# (retina, deep sky, moon, cells, scanned text, coins) are no photographs of a scene.
SCENES = {
    "astronaut": Scene("skimage", "data/astronaut.png", "train"),
    "camera": Scene("skimage", "data/camera.png", "train"),
    "flower": Scene("sklearn", "datasets/images/flower.jpg", "train"),
    "gravel": Scene("skimage", "data/gravel.png", "train"),
    "motorcycle": Scene("skimage", "data/motorcycle_left.png", "train"),
    "rocket": Scene("skimage", "data/rocket.jpg", "train"),
    "coffee": Scene("skimage", "data/coffee.png", "val"),
    "grass": Scene("skimage", "data/grass.png", "val"),
    "chelsea": Scene("skimage", "data/chelsea.png", "test"),
    "china": Scene("sklearn", "datasets/images/china.jpg", "test"),
    "brick": Scene("skimage", "data/brick.png", "holdout"),
    "grace_hopper": Scene("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "holdout"),
}

# Up to this level the degradation is "marginal", from the next on "bad". Set by looking at every
# kind and level on smooth, detailed and textured scenes: bad means that nobody would keep the
# photograph, on the most forgiving scene too.
LAST_MARGINAL_LEVEL = {
    "gaussian_blur": 1,
    "motion_blur": 1,
    "white_noise": 1,
    "jpeg": 2,
    "over_exposure": 2,
    "under_exposure": 2,
    "contrast_loss": 3,
    "colour_quantisation": 3,
}
# Degradations confined to a region start here, so that a part of the image is enough to spoil it.
FIRST_REGION_LEVEL = 3
GOOD_PER_SCENE = 20
MIN_SCALE = 0.5
# Share of edge pixels that a crop, and a region of it, must have.
MIN_EDGES = 0.04


class Sample(NamedTuple):
    """One image of the data set.

    Attributes:
        image: RGB.
        label: bad, marginal or good.
        distortion: a key of `LAST_MARGINAL_LEVEL`; empty for level 0.
        level: 0 (as photographed) to 5.
        region: True where degraded; None if that is the whole image or nothing.
    """

    image: UInt8[np.ndarray, "height width 3"]
    label: str
    distortion: str
    level: int
    region: Bool[np.ndarray, "height width"] | None


def scenes() -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """Reads the photographs from the folders of the installed packages.

    Returns:
        Scene name -> RGB; sides from 300 to 741 pixels.

    Raises:
        FileNotFoundError: if a package is missing or ships its photograph no longer.
    """
    return {name: images.load(_find(scene)) for name, scene in SCENES.items()}


def label_of(distortion: str, level: int) -> str:
    """Gives the label of a degradation, over the whole image or over a region.

    Args:
        distortion: a key of `LAST_MARGINAL_LEVEL`; ignored at level 0.
        level: 0 to 5.

    Returns:
        good for level 0, marginal up to the distortion's `LAST_MARGINAL_LEVEL`, else bad.
    """
    if level == 0:
        return "good"
    return "marginal" if level <= LAST_MARGINAL_LEVEL[distortion] else "bad"


def make_samples(
    name: str, photo: UInt8[np.ndarray, "height width 3"], *, seed: int, size: int
) -> Iterator[Sample]:
    """Makes the versions of one scene: clean crops, and each kind and level of degradation once.

    Of the bad versions from `FIRST_REGION_LEVEL` on, every third is confined to an ellipse over
    28 to 64 % of the image; which third rotates from scene to scene.

    Args:
        name: of the scene, which chooses its random numbers.
        photo: the scene.
        seed: same seed, same samples.
        size: smallest side of a crop in pixels; the largest is a quarter longer.

    Yields:
        The samples in random order.
    """
    number = list(SCENES).index(name)
    rng = np.random.default_rng([seed, number])
    versions = [("", 0)] * GOOD_PER_SCENE
    versions += [(distortion, level) for distortion in LAST_MARGINAL_LEVEL for level in LEVELS]
    for index in rng.permutation(len(versions)):
        distortion, level = versions[index]
        label = label_of(distortion, level)
        is_region = label == "bad" and level >= FIRST_REGION_LEVEL and (number + index) % 3 == 0
        image, region = _crop(photo, size, is_region, rng)
        if is_region:
            image = distort_region(image, distortion, level, region, rng)
        elif level:
            image = distort(image, distortion, level, rng)
        yield Sample(image, label, distortion, level, region if is_region else None)


def write(folder: str | Path, *, seed: int = 0, size: int = 256) -> Path:
    """Writes the data set: `images/`, `masks/` of the regions, and `manifest.csv`.

    The manifest's columns are path, label (bad, marginal, good), group (the scene), split (train,
    val, test, holdout), distortion, level (0 to 5), region (path of a mask that is white where
    degraded, or empty) and area (degraded share of the image). Paths are relative to the
    manifest.

    Args:
        folder: created if needed; files of the same name are replaced.
        seed: same seed, same files.
        size: smallest side of an image in pixels.

    Returns:
        The path of the manifest.
    """
    folder = Path(folder)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for name, photo in scenes().items():
        for index, sample in enumerate(make_samples(name, photo, seed=seed, size=size)):
            path, mask = f"images/{name}_{index:02}.png", ""
            # A low compression level: half the time for a few percent of the size.
            Image.fromarray(sample.image).save(folder / path, compress_level=3)
            area = float(sample.level > 0)
            if sample.region is not None:
                mask, area = f"masks/{name}_{index:02}.png", sample.region.mean()
                Image.fromarray(sample.region).save(folder / mask)
            rows.append(
                {
                    "path": path,
                    "label": sample.label,
                    "group": name,
                    "split": SCENES[name].split,
                    "distortion": sample.distortion,
                    "level": sample.level,
                    "region": mask,
                    "area": round(area, 4),
                }
            )
    manifest = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    return manifest


def draw_region(height: int, width: int, rng: np.random.Generator) -> Bool[np.ndarray, "h w"]:
    """Draws an ellipse that lies in the image, its axes 0.6 to 0.9 of the sides."""
    axes = rng.uniform(0.6, 0.9, 2) * (height, width)
    center = axes / 2 + rng.uniform(size=2) * ((height, width) - axes)
    rows, columns = np.ogrid[:height, :width]
    distance = ((rows + 0.5 - center[0]) / axes[0]) ** 2
    return distance + ((columns + 0.5 - center[1]) / axes[1]) ** 2 <= 0.25


def main():
    """Writes the data set from the command line and says what it holds."""
    parser = argparse.ArgumentParser(description=str(write.__doc__).splitlines()[0])
    parser.add_argument(
        "--output",
        default="data/sample_photos",
        type=os.path.expanduser,
        help="folder to write to",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files")
    arguments = parser.parse_args()
    try:
        manifest = write(arguments.output, seed=arguments.seed)
    except OSError as error:
        parser.exit(1, f"The sample photos could not be written: {error}\n")
    table = pd.read_csv(manifest)
    print(f"{len(table)} images of {table['group'].nunique()} scenes: {manifest}")
    print(pd.crosstab(table["split"], table["label"]).to_string())


def _find(scene: Scene) -> Path:
    # The package is located without importing it, which would take seconds.
    spec = importlib.util.find_spec(scene.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(*(folders or ["."])) / scene.file
    if not folders or not path.is_file():
        raise FileNotFoundError(
            f"The Python package {scene.package} should ship {scene.file}, but it does not here; "
            "install the versions that requirements.txt names."
        )
    return path


def _crop(photo: np.ndarray, size: int, needs_region: bool, rng: np.random.Generator):
    """Draws a scaled crop, and a region of it, until both hold enough edges to judge."""
    while True:
        height, width = (
            rng.choice([side for side in (size, size * 5 // 4) if side <= length])
            for length in photo.shape[:2]
        )
        smallest = max(height / photo.shape[0], width / photo.shape[1], MIN_SCALE)
        scale = rng.uniform(smallest, 1)
        scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top = rng.integers(scaled.shape[0] - height, endpoint=True)
        left = rng.integers(scaled.shape[1] - width, endpoint=True)
        crop = np.ascontiguousarray(scaled[top : top + height, left : left + width])
        region = draw_region(height, width, rng) if needs_region else np.ones(crop.shape[:2], bool)
        if tiling.edge_sum(crop, region) >= MIN_EDGES * region.sum():
            return crop, region


if __name__ == "__main__":
    main()
