"""Reads every file of a manifest once and tells what stands in the way of an honest result.

Findings are of three kinds:

* errors, after which nothing should be trained: a group in two splits, the same file content in
  two splits, a split that training needs without images or without one of the classes;
* bad images, which cannot be read: they are left out of training and get an error row in an
  evaluation, but do not stop either;
* warnings: a picture in one split that looks like one in another, the same content twice in one
  split, a split other than train and val without one of the classes, images smaller than a tile,
  files that are damaged inside or have a colour profile that cannot be used, files of a folder of
  images that are named like none.

What looks alike is said in `look_alikes`.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from input_pipeline.checks.look_alikes import find_alike
from input_pipeline.checks.signatures import SIGNATURE, sign_picture
from input_pipeline.checks.split_checks import (
    check_split_contents,
    find_missing_classes,
    find_straddling_groups,
    name_places,
)
from input_pipeline.files.file_names import name_text, one_line, slash_hint
from input_pipeline.files.image_files import tell_passed_over
from input_pipeline.files.images import ImageError, decode
from input_pipeline.files.prepared import open_file
from input_pipeline.tables.cells import name_rows
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.tiling import Tiling, grid

_SHOWN = 50
# Each thread holds one decoded image, so their number bounds the memory.
_MAX_THREADS = 8
_COLUMN_TYPES = {
    **dict.fromkeys(("height", "width", "bytes"), np.int64),
    "perceptual_hash": np.uint64,
    "is_flat": bool,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Audit:
    """What was found.

    Attributes:
        errors: sentences that refuse training.
        warnings: sentences that do not.
        bad_images: image_id -> row of the manifest, file, and why it cannot be used.
        summary: counts and sizes, ready for JSON.
        table: one row per readable file (per image, or per tile already cut): `image_id`,
            `name`, `file_row`, `split`, `height`, `width`, `tiles`, `bytes`, `sha256`,
            `perceptual_hash` (uint64), `is_flat`, `warning`.
    """

    errors: list[str]
    warnings: list[str]
    bad_images: dict[int, str]
    summary: dict[str, Any]
    table: pd.DataFrame


class _Reading(NamedTuple):
    height: int
    width: int
    bytes: int
    sha256: str
    perceptual_hash: np.uint64
    is_flat: bool
    warning: str
    signature: np.void


def audit(
    manifest: Manifest,
    *,
    tiling: Tiling,
    max_pixels: int,
    needed: Sequence[str] = ("train", "val"),
    progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Reads and decodes every file of a manifest and collects all findings.

    Args:
        manifest: as read; without labels, only the files are looked at.
        tiling: how images will be cut, for the counts of tiles.
        max_pixels: larger images count as bad.
        needed: the splits that training cannot do without.
        progress: called with (files done, files in all), in the caller's thread.
    """
    is_tiled = manifest.tiles is not None
    files = manifest.images.reset_index() if manifest.tiles is None else manifest.tiles
    files = files[["image_id", "name", "path", "file_row"]]
    files = files.assign(split=files["image_id"].map(manifest.images["split"]))
    largest_side = tiling.size if is_tiled else None
    results = []
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        for result in threads.map(
            lambda path, name: _examine(path, name, max_pixels, largest_side),
            files["path"],
            files["name"],
        ):
            results.append(result)
            if progress:
                progress(len(results), len(files))

    bad_images: dict[int, str] = {}
    for image_id, row, result in zip(files["image_id"], files["file_row"], results, strict=True):
        if isinstance(result, str):
            bad_images.setdefault(image_id, f"row {row}: {result}")

    is_readable = np.array([isinstance(result, _Reading) for result in results])
    read = [result for result in results if isinstance(result, _Reading)]
    signatures = np.array([result.signature for result in read], SIGNATURE)
    readings = pd.DataFrame(read, columns=_Reading._fields).drop(columns="signature")
    readings = readings.astype(_COLUMN_TYPES)
    table = files[is_readable].drop(columns="path").reset_index(drop=True).join(readings)
    stored = table[["height", "width"]].to_numpy().tolist()
    cut = stored if is_tiled else [tiling.reduction.sides(*pair) for pair in stored]
    sides = np.array(cut, np.int64).reshape(-1, 2)
    table["tiles"] = [
        1 if is_tiled else len(grid(height, width, tiling).origins)
        for height, width in sides.tolist()
    ]

    errors, warnings = _find_same_content(table, manifest)
    if manifest.label is not None:
        readable = dataclasses.replace(manifest, images=manifest.images.drop(list(bad_images)))
        errors += find_straddling_groups(manifest) + check_split_contents(readable, needed)
        warnings += _find_thin_splits(readable, needed)
    warnings += _find_similar(table, signatures, manifest.splits)
    is_odd = table["warning"] != ""
    warnings += [
        f"row {row}: {name}: {warning}"
        for row, name, warning in table.loc[is_odd, ["file_row", "name", "warning"]].to_numpy()
    ]
    small = table[sides.min(axis=1) < tiling.size]
    if len(small):
        warnings.append(
            f"{len(small)} of {len(table)} files are smaller than a tile of {tiling.size} pixels "
            f"and are padded ({name_rows(small['file_row'])})"
        )
    if manifest.passed_over:
        warnings.append(tell_passed_over(manifest.passed_over))
    return Audit(errors, warnings, bad_images, _summarise(manifest, table, bad_images), table)


def format_audit(found: Audit) -> str:
    """Lays the findings out as plain text, for a terminal."""
    summary = found.summary
    rows = {
        split: {"images": part["images"], "groups": part["groups"], **part["labels"]}
        for split, part in summary["splits"].items()
    }
    parts = [f"{summary['manifest']}: {summary['images']} images, {summary['bytes'] / 1e6:,.1f} MB"]
    if rows:
        parts.append(pd.DataFrame.from_dict(rows, orient="index").to_string())
    spreads = {
        "height (pixels)": summary["height"],
        "width (pixels)": summary["width"],
        "tiles per image": summary["tiles_per_image"],
    }
    if all(spreads.values()):
        parts.append(pd.DataFrame.from_dict(spreads, orient="index").to_string())
    parts += _list("errors", found.errors)
    parts += _list("images that cannot be read and are left out", [*found.bad_images.values()])
    parts += _list("warnings", found.warnings)
    return "\n\n".join(parts)


def _examine(path: str, name: str, max_pixels: int, largest_side: int | None) -> _Reading | str:
    """Returns what a file holds, or why it cannot be used."""
    try:
        with open_file(path) as file:
            data = file.read()
        warnings: list[str] = []
        image = decode(data, max_pixels=max_pixels, name=name, warn=warnings.append)
    except OSError as error:
        hint = slash_hint(path) if isinstance(error, FileNotFoundError) else ""
        return one_line(
            f"{name}: the file cannot be read ({error.strerror or error}){hint}: {path}"
        )
    except ImageError as error:
        return str(error)
    height, width = image.shape[:2]
    if largest_side and max(height, width) > largest_side:
        return f"{name}: this tile is {height}×{width} pixels, larger than tiles of {largest_side}"
    digest = hashlib.sha256(data)
    signature = sign_picture(image, digest.digest())
    return _Reading(
        *(height, width, len(data), digest.hexdigest()),
        *(signature["perceptual_hash"], bool(signature["is_flat"]), " ".join(warnings)),
        signature,
    )


def _find_same_content(table: pd.DataFrame, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Finds files of equal content: the errors and the warnings."""
    errors, warnings = [], []
    repeated = table[table.duplicated("sha256", keep=False)]
    labels = manifest.images["label_text"]
    for _, same in repeated.groupby("sha256", sort=False):
        is_flat = same["is_flat"].iat[0]
        is_leak = same["split"].nunique() > 1
        # Plain background is the same in many tiles, and no result gains by knowing it.
        if is_flat and manifest.tiles is not None:
            continue
        texts = sorted(set(labels[same["image_id"]]))
        conflict = f", with different labels ({', '.join(texts)})" if len(texts) > 1 else ""
        (errors if is_leak else warnings).append(
            f"the same file content is in {name_places(same)}{conflict}: keep one"
        )
    return errors, warnings


def _find_similar(
    table: pd.DataFrame, signatures: Shaped[np.ndarray, " file"], splits: Sequence[str]
) -> list[str]:
    """Finds pictures that look like one of another split, the likest first."""
    similar = []
    for number, split in enumerate(splits[1:], start=1):
        queries = np.flatnonzero(table["split"] == split)
        references = np.flatnonzero(table["split"].isin(splits[:number]))
        for found in find_alike(signatures[queries], signatures[references]):
            pairs = pd.DataFrame(found._asdict()).sort_values(["bits", "reference"])
            for query, reference, bits in pairs.drop_duplicates("query").to_numpy():
                pair = table.iloc[[references[reference], queries[query]]]
                # Equal content is another finding.
                if pair["sha256"].nunique() > 1:
                    similar.append((bits, pair))
    return [
        f"{pair['name'].iat[0]} and {pair['name'].iat[1]} look alike ({bits} of 64 bits differ): "
        f"{name_places(pair)}"
        for bits, pair in sorted(similar, key=lambda found: found[0])
    ]


def _find_thin_splits(manifest: Manifest, needed: Sequence[str]) -> list[str]:
    """Finds what splits lack that training can do without."""
    thin = [
        problem
        for split in manifest.splits
        if split not in needed
        for problem in find_missing_classes(manifest, split)
    ]
    assert manifest.label is not None
    marginal = manifest.label.marginal
    is_marginal = manifest.images["label_text"] == marginal
    if (
        marginal
        and is_marginal.any()
        and not (manifest.images["split"][is_marginal] == "val").any()
    ):
        thin.append(
            f"split 'val' has no image labelled {marginal!r}: the thresholds between "
            f"{', '.join(manifest.label.names)} cannot be fitted"
        )
    return thin


def _summarise(
    manifest: Manifest, table: pd.DataFrame, bad_images: dict[int, str]
) -> dict[str, Any]:
    images = manifest.images
    splits = {}
    for split in manifest.splits:
        part = images[images["split"] == split]
        splits[split] = {
            "images": len(part),
            "groups": int(part["group"].nunique()),
            "labels": _summarise_labels(manifest, part),
        }
    return {
        "manifest": name_text(manifest.path),
        "images": len(images),
        "bad_images": len(bad_images),
        "bytes": int(table["bytes"].sum()),
        "splits": splits,
        "height": _spread(table["height"]),
        "width": _spread(table["width"]),
        "tiles": int(table["tiles"].sum()),
        "tiles_per_image": _spread(table.groupby("image_id")["tiles"].sum()),
    }


def _summarise_labels(manifest: Manifest, images: pd.DataFrame) -> dict[str, float]:
    if manifest.label is None:
        return {}
    if manifest.label.is_numeric:
        return _spread(images["label"])
    return {name: int((images["label_text"] == name).sum()) for name in manifest.label.names}


def _spread(values: pd.Series) -> dict[str, float]:
    if values.empty:
        return {}
    return {name: float(getattr(values, name)()) for name in ("min", "median", "max")}


def _list(what: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    shown = [f"  {one_line(line)}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"  … and {len(lines) - _SHOWN} more")
    return ["\n".join([f"{what}: {len(lines)}", *shown])]
