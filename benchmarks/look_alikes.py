"""Times the search for pictures that look alike, and counts what it finds; prints one JSON object.

    python -m benchmarks.look_alikes [--pictures=100000] [--manifest=MANIFEST] [--column=NAME]

The search is timed on signatures that are made up, one in ten of them a copy with three bits
changed, beside scikit-learn's ball tree and its plain search on the same hashes with the same limit
of bits. These two are asked for 50 of the pictures, and take so much longer for all.

With a manifest (read without labels), its pictures are signed and grouped. Where it has a column
split, the pictures of each split are counted that are in one group with a picture of another; the
groups are compared with those of `--column`, as pairs of pictures that are in one group. 500 of
its pictures, evenly chosen, are changed in several ways, and the share is told that is still like
its original.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from input_pipeline.checks.kept_signatures import KeptSignatures
from input_pipeline.checks.look_alikes import (
    LEAST_CORRELATION,
    MOST_BITS,
    cluster,
    find_alike,
)
from input_pipeline.checks.signatures import SIGNATURE, sign_picture
from input_pipeline.files.images import DEFAULT_MAX_PIXELS, load
from input_pipeline.tables.manifest import Manifest, read_manifest
from input_pipeline.tables.table_files import read_table

_ASKED = 50
_CHANGED = 500


def make_signatures(count: int) -> np.ndarray:
    """Makes signatures of pictures that are not alike, but for one in ten, a copy of another."""
    rng = np.random.default_rng(0)
    signatures = np.zeros(count, SIGNATURE)
    signatures["perceptual_hash"] = rng.integers(0, 2**64, count, dtype=np.uint64)
    signatures["thumbnail"] = rng.integers(0, 256, (count, 256), np.uint8)
    signatures["content"] = np.arange(1, count + 1)
    copies = rng.choice(count, count // 10, replace=False)
    copied = rng.choice(np.setdiff1d(np.arange(count), copies), len(copies))
    for name in ("perceptual_hash", "thumbnail"):
        signatures[name][copies] = signatures[name][copied]
    for _ in range(3):
        bit = rng.integers(0, 64, len(copies)).astype(np.uint64)
        signatures["perceptual_hash"][copies] ^= np.uint64(1) << bit
    return signatures


def time_search(signatures: np.ndarray) -> dict[str, float]:
    """Times the search among all pictures, and that of scikit-learn for some of them."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu_start = time.perf_counter(), time.process_time()
    groups = len(np.unique(cluster(signatures)))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    bits = np.unpackbits(signatures["perceptual_hash"][:, None].view(np.uint8), axis=1)
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "megabytes": memory / 1024}
    share = len(signatures) / _ASKED
    for name in ("ball_tree", "brute"):
        start = time.perf_counter()
        radius = (MOST_BITS + 0.5) / 64
        search = NearestNeighbors(radius=radius, metric="hamming", algorithm=name).fit(bits)
        fitted = time.perf_counter()
        search.radius_neighbors(bits[:_ASKED], return_distance=False)
        whole = fitted - start + share * (time.perf_counter() - fitted)
        times[f"{name}_seconds"] = whole
        times[f"{name}_times_as_long"] = whole / seconds
    return {name: round(value, 1) for name, value in times.items()} | {"groups": groups}


def count_pairs(groups: np.ndarray) -> int:
    """Counts the pairs that are in one group."""
    sizes = np.unique(groups, return_counts=True)[1].astype(int)
    return int((sizes * (sizes - 1) // 2).sum())


def compare_groups(found: np.ndarray, truth: pd.Series) -> dict[str, float]:
    """Compares the pairs of two groupings."""
    in_found, in_truth = count_pairs(found), count_pairs(truth.to_numpy())
    both = count_pairs(pd.factorize(pd.MultiIndex.from_arrays([found, truth]))[0])
    return {
        "pairs_in_both": both,
        "pairs_missed": in_truth - both,
        "pairs_extra": in_found - both,
        "precision": round(both / max(in_found, 1), 4),
        "recall": round(both / max(in_truth, 1), 4),
    }


def count_parted(found: np.ndarray, splits: pd.Series) -> dict[str, int]:
    """Counts the pictures of each split that are in one group with a picture of another split."""
    is_parted = splits.groupby(found).transform("nunique") > 1
    return {name: int(rows.sum()) for name, rows in is_parted.groupby(splits)}


def _crop(share: float) -> Callable[[np.ndarray], np.ndarray]:
    def crop(image: np.ndarray) -> np.ndarray:
        top, left = (round(side * share / 2) for side in image.shape[:2])
        return image[top : image.shape[0] - top, left : image.shape[1] - left]

    return crop


def _expose(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: np.clip(image * factor, 0, 255).astype(np.uint8)


def _rotate(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 3, 1)
    return cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg_quality_10": lambda image: cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_COLOR
    ),
    "a_quarter_of_the_size": lambda image: cv2.resize(
        image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
    ),
    "blur_sigma_5": lambda image: cv2.GaussianBlur(image, (0, 0), 5),
    "half_as_bright": _expose(0.5),
    "one_and_a_half_times_as_bright": _expose(1.5),
    "crop_5_percent": _crop(0.05),
    "crop_10_percent": _crop(0.1),
    "crop_20_percent": _crop(0.2),
    "turned_3_degrees": _rotate,
    "mirrored": lambda image: image[:, ::-1],
}


def change_pictures(manifest: Manifest, signatures: np.ndarray) -> dict[str, float]:
    """Tells the share of changed pictures that are still like their originals."""
    known = np.flatnonzero(~signatures["is_flat"])
    chosen = known[np.linspace(0, len(known) - 1, min(_CHANGED, len(known))).astype(int)]
    images = [load(manifest.images["path"].iat[place]) for place in chosen]
    shares = {}
    for name, change in CHANGES.items():
        changed = [np.ascontiguousarray(change(image)) for image in images]
        copies = np.array([sign_picture(image, os.urandom(8)) for image in changed], SIGNATURE)
        alike = {
            (query, reference)
            for part in find_alike(copies, signatures[chosen])
            for query, reference in zip(part.query.tolist(), part.reference.tolist(), strict=True)
        }
        shares[name] = round(np.mean([(row, row) in alike for row in range(len(chosen))]), 3)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--manifest", type=os.path.expanduser)
    parser.add_argument("--column", help="of the manifest: pictures with one value belong together")
    arguments = parser.parse_args()
    report = {
        "most_bits": MOST_BITS,
        "least_correlation": LEAST_CORRELATION,
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "pictures": arguments.pictures,
        "search": time_search(make_signatures(arguments.pictures)),
    }
    if arguments.manifest:
        manifest = read_manifest(arguments.manifest, None)
        with tempfile.TemporaryDirectory() as folder:
            kept = KeptSignatures(manifest, folder, DEFAULT_MAX_PIXELS)
            start, cpu_start = time.perf_counter(), time.process_time()
            kept.make(os.cpu_count() or 1, lambda done: None)
            sign_seconds = time.perf_counter() - start
            sign_cpu_seconds = time.process_time() - cpu_start
        signatures = kept.signatures
        start = time.perf_counter()
        found = cluster(signatures)
        search_seconds = time.perf_counter() - start
        sizes = np.unique(found, return_counts=True)[1]
        report["manifest"] = {
            "pictures": len(found),
            "flat": int(signatures["is_flat"].sum()),
            "seconds_to_sign": round(sign_seconds, 1),
            "cpu_seconds_to_sign": round(sign_cpu_seconds, 1),
            "seconds_to_search": round(search_seconds, 1),
            "groups_of_several": int((sizes > 1).sum()),
            "pictures_in_them": int(sizes[sizes > 1].sum()),
            "largest_group": int(sizes.max()),
            "still_alike": change_pictures(manifest, signatures),
        }
        table = read_table(manifest.path).reset_index(drop=True)
        if "split" in table:
            report["manifest"]["parted_by_split"] = count_parted(found, table["split"])
        if arguments.column:
            truth = table[arguments.column]
            report["manifest"][f"as_in_{arguments.column}"] = compare_groups(found, truth)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
