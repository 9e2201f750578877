"""Founding questions about what trains: wrong labels, filters of tiles, parts of the recipe."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.founding_bench import BY_TILE, Bench, answers_of
from benchmarks.founding_figures import Answers, compare
from input_pipeline.tables.splits import assign_splits
from iqa_jax.analysis.label_noise import FILTERS
from iqa_jax.run import build
from iqa_jax.studies.label_noise import find_wrong_labels
from iqa_jax.training.data import tile_index_from_config

FLIPPED, FOLDS = (0.0, 0.2, 0.4), 3
LOSSES = {
    "plain": {},
    "symmetric cross-entropy": {"loss.name": "symmetric_cross_entropy"},
    "generalised cross-entropy": {"loss.name": "generalised_cross_entropy"},
    "averaged weights": {"optimizer.ema_decay": 0.95},
}
# Parts of the recipe besides the filters, as what leaves them out.
PARTS = {
    "without label smoothing": {"loss.cross_entropy.label_smoothing": 0.0},
    "without balanced sampling": {"balanced_sampling": False},
    "without dropout": {"model.dropout": 0.0},
    "without norm of embeddings": {"model.norm_embeddings": False},
}
EDGES = 256  # Canny edge pixels that a tile has at least, as in configs/tile_classifier.py.


def flip_labels(bench: Bench, train: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draws the images of either outer third whose label is to be the other one."""
    grades, rng = bench.rows.grades(bench.rows.table["mos"].to_numpy()), np.random.default_rng(seed)
    chosen = []
    for grade in (0, 2):
        rows = rng.permutation(train[grades[train] == grade])
        chosen.append(rows[: round(share * len(rows))])
    return np.concatenate(chosen)


def judge_tiles(
    bench: Bench, size: int, seed: int, flipped: np.ndarray, changes: Mapping[str, Any], name: str
) -> pd.DataFrame:
    """Gives the probabilities of training tiles, by runs that never saw their group.

    Returns:
        `image_id`, `number` (of the tile), `label` as given, `p_bad` and `p_good`.
    """
    train, table = bench.draw(size, seed), bench.rows.table
    grades = bench.rows.grades(table["mos"].to_numpy())
    train = train[grades[train] != 1]
    shares = {str(fold): 1 / FOLDS for fold in range(FOLDS)}
    groups = table["group"].to_numpy()[train]
    fold_of, parts = assign_splits(grades[train], groups, shares, seed), []
    for fold in shares:
        judged = train[fold_of == fold]
        answered = bench.run(
            f"{name}, fold {fold}",
            "binary",
            changes,
            size,
            seed,
            train=train[fold_of != fold],
            flipped=np.intersect1d(flipped, train),
            asked={"judged": judged},
        )
        probabilities = answered["judged tiles"]
        count = probabilities.shape[1]
        is_good = (grades[judged] == 2) ^ np.isin(judged, flipped)
        parts.append(
            pd.DataFrame(
                {
                    "image_id": np.repeat(judged, count),
                    "number": np.tile(np.arange(count), len(judged)),
                    "label": np.repeat(np.where(is_good, "good", "bad"), count),
                    "p_bad": probabilities[..., 0].ravel(),
                    "p_good": probabilities[..., 1].ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def filter_tiles(bench: Bench, tiles: pd.DataFrame, filter_name: str) -> np.ndarray:
    """Says of each tile of each image whether a filter keeps it, with the config's settings."""
    noise = bench.config("binary", {}).noise
    reasons = find_wrong_labels(
        tiles,
        ("bad", "good"),
        filter_name=filter_name,
        band=tuple(noise.band),
        keep_share=noise.keep_share,
    )
    is_kept = np.ones(bench.tiles.embeddings.shape[:2], bool)
    dropped = tiles[np.array(reasons) != ""]
    is_kept[dropped["image_id"], dropped["number"]] = False
    return is_kept


def ask_noise(bench: Bench, size: int, draws: int) -> dict[str, Any]:
    """Flips labels of training images, and compares losses and filters with the plain recipe."""
    found, filters = {}, {}
    for share in FLIPPED:
        column = f"{share:.0%} flipped"
        parts: list[dict[str, Answers]] = [{} for _ in range(draws)]
        scores: dict[str, list[tuple[float, float]]] = {}
        for seed, part in enumerate(parts):
            flipped = flip_labels(bench, bench.draw(size, seed), share, seed)
            for row, changes in LOSSES.items():
                name = "tiles" if not share and not changes else f"{row}, {column}"
                answered = bench.run(name, "binary", BY_TILE | changes, size, seed, flipped=flipped)
                part[row] = answers_of("binary", answered, "mean_score")
            tiles = judge_tiles(bench, size, seed, flipped, BY_TILE, f"plain, {column}")
            is_wrong = np.isin(tiles["image_id"], flipped)
            for filter_name in FILTERS:
                is_kept = filter_tiles(bench, tiles, filter_name)
                is_dropped = ~is_kept[tiles["image_id"], tiles["number"]]
                hits = (is_dropped & is_wrong).sum()
                scores.setdefault(filter_name, []).append(
                    (
                        is_dropped.mean(),
                        hits / max(is_dropped.sum(), 1),
                        hits / max(is_wrong.sum(), 1),
                    )
                )
                row = f"without what {filter_name} drops"
                answered = bench.run(
                    f"{row}, {column}", "binary", BY_TILE, size, seed,
                    flipped=flipped, is_kept=is_kept,
                )  # fmt: skip
                part[row] = answers_of("binary", answered, "mean_score")
        found[column] = compare(bench.rows, parts, "plain")
        filters[column] = {
            name: dict(
                zip(
                    ("dropped", "precision", "recall"),
                    np.mean(values, axis=0).round(4).tolist(),
                    strict=True,
                )
            )
            for name, values in scores.items()
        }
    return {"reference": "plain", "images": size, "compared": found, "filters": filters}


def keep_edged(bench: Bench, train: np.ndarray) -> np.ndarray:
    """Says of each tile of each image whether it has edges enough; others than `train` are kept."""
    config = bench.config("binary", {"tiles.edge_sum_min": EDGES})
    source = build.source_from_config(config, build.manifest_from_config(config))
    index = tile_index_from_config(config, source, train.tolist())
    is_kept = np.ones(bench.tiles.embeddings.shape[:2], bool)
    is_kept[train] = False
    is_kept[index.image_id, index.number] = True
    return is_kept


def ask_left_out(bench: Bench, size: int, draws: int) -> dict[str, Any]:
    """Leaves each part of the tile classifier's recipe out once."""
    parts: list[dict[str, Answers]] = [{} for _ in range(draws)]
    kept = []
    for seed, part in enumerate(parts):
        train = bench.draw(size, seed)
        path = bench.output / f"edged_{size}_{seed}.npy"
        if not path.exists():
            np.save(path, keep_edged(bench, train))
        is_edged = np.load(path)
        tiles = judge_tiles(bench, size, seed, np.zeros(0, int), BY_TILE, "plain, 0% flipped")
        is_sure = filter_tiles(bench, tiles, "band")
        kept.append((float(is_edged[train].mean()), float(is_sure[train].mean())))
        both = is_edged & is_sure
        members = {
            "all parts": ({}, both),
            "without the edge filter": ({}, is_sure),
            "without the confidence filter": ({}, is_edged),
            "without either filter": ({}, np.ones_like(both)),
            **{row: (changes, both) for row, changes in PARTS.items()},
        }
        for row, (changes, is_kept) in members.items():
            answered = bench.run(
                f"left out, {row}", "binary", BY_TILE | changes, size, seed, is_kept=is_kept
            )
            part[row] = answers_of("binary", answered, "mean_score")
    edged, sure = np.mean(kept, axis=0).round(4).tolist()
    return {
        "reference": "all parts",
        "images": size,
        "kept_by": {"edge filter": edged, "confidence filter": sure},
        "compared": {f"{size} images": compare(bench.rows, parts, "all parts")},
    }
