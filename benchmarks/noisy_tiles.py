"""Measures how well wrong tile labels are found, and what that is worth; prints one JSON object.

    python -m input_pipeline.sample_photos --output=data/sample_photos
    python -m benchmarks.noisy_tiles --manifest=data/sample_photos/manifest.csv \
        --output=runs/noisy_tiles

In sample photos of which a region is degraded, a tile outside it carries a wrong label by
construction. On top of that a share of the training images gets the other label. For every share:
precision and recall of the wrong tiles among those that each filter drops, beside the share of
wrong ones, which dropping at random would give as precision; and the AUROC of images of unseen
scenes (test and holdout together, never flipped) for the plain recipe, for it without the dropped
tiles, with losses for noisy labels, and with averaged weights. Tiles that are degraded by less
than half are neither right nor wrong and count in no precision or recall. The command can be
stopped and repeated.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

import jax
import ml_collections
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from configs import noisy_tiles
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.regions import find_regions, load_region
from iqa_jax.analysis.label_noise import FILTERS
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.run import build
from iqa_jax.studies.label_noise import find_wrong_labels, judge_tiles, list_dropped, plan_folds
from iqa_jax.studies.study import run_study

FLIPPED = (0.0, 0.1, 0.2, 0.4)
# Member -> what it changes in the plain recipe.
RECIPES = {
    "plain": {},
    "symmetric_cross_entropy": {"loss.name": "symmetric_cross_entropy"},
    "generalised_cross_entropy": {"loss.name": "generalised_cross_entropy"},
    "averaged_weights": {"optimizer.ema_decay": 0.95},
}


def flip_labels(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Gives a share of the training images of each class the other label."""
    table, rng = table.copy(), np.random.default_rng(seed)
    for label, other in (("good", "bad"), ("bad", "good")):
        rows = table.index[(table["split"] == "train") & (table["true_label"] == label)]
        table.loc[rng.permutation(rows)[: round(share * len(rows))], "label"] = other
    return table


def true_states(
    config: ml_collections.ConfigDict, manifest: Manifest, true_label: pd.Series
) -> dict[tuple[str, int, int], str]:
    """Says of the tiles of training images what they are: (image, row, column) -> bad or good."""
    source, regions = build.source_from_config(config, manifest), find_regions(manifest)
    size, states = config.tiles.size, {}
    for image_id, image in manifest.split("train").iterrows():
        layout, name = source.layout(image_id), image["name"]
        region = np.full((layout.height, layout.width), true_label[name] == "bad")
        if image_id in regions:
            path = regions[image_id]
            region = load_region(path, *region.shape, max_pixels=config.data.max_pixels)
        for (top, left), (row, column) in zip(*layout.grid[:2], strict=True):
            degraded = region[top : top + size, left : left + size].mean()
            if degraded == 0 or degraded >= 0.5:
                states[name, int(row), int(column)] = "bad" if degraded else "good"
    return states


def score_filter(is_dropped: np.ndarray, is_wrong: np.ndarray) -> dict[str, float | None]:
    """Gives precision and recall of wrong tiles among the dropped ones; None if undefined."""
    hits = int((is_dropped & is_wrong).sum())
    return {
        "dropped": int(is_dropped.sum()),
        "precision": hits / int(is_dropped.sum()) if is_dropped.any() else None,
        "recall": hits / int(is_wrong.sum()) if is_wrong.any() else None,
    }


def test_images(run, data, workdir):
    """Answers the images of unseen scenes."""
    evaluator = evaluator_from_config(
        workdir.config(), data.manifest, data.source, data.features, data.embeddings
    )
    return evaluator(run.variables, "test")


def auroc_of(answers: dict) -> float:
    """Gives the AUROC of images that are good or bad, by the mean score of their tiles."""
    labels = np.array(answers["labels"])
    scores = np.array(answers["values"]["mean_score"])[:, 1]
    return roc_auc_score(labels[labels >= 0], scores[labels >= 0])


def measure(config: ml_collections.ConfigDict, true_label: pd.Series, home: Path) -> dict:
    """Measures everything at one share of flipped labels."""
    manifest = build.manifest_from_config(config)
    tiles = judge_tiles(plan_folds(config, manifest, home), home)
    states = true_states(config, manifest, true_label)
    places = tiles[["image", "row", "column"]].itertuples(index=False, name=None)
    state = np.array([states.get(place, "") for place in places])
    is_known, is_wrong = state != "", state != tiles["label"].to_numpy()
    found = {"tiles": len(tiles), "wrong_share": float(is_wrong[is_known].mean()), "filters": {}}

    members = {}
    for name, changes in RECIPES.items():
        members[name] = run = ml_collections.ConfigDict(config.to_dict())
        run.update_from_flattened_dict(changes)
    (answers,) = run_study([members], home / "recipes", test_images)
    for name in FILTERS:
        run = ml_collections.ConfigDict(config.to_dict())
        run.noise.filter = name
        reasons = find_wrong_labels(
            tiles,
            tuple(run.data.classes),
            filter_name=name,
            band=run.noise.band,
            keep_share=run.noise.keep_share,
        )
        is_dropped = np.array([reason != "" for reason in reasons])
        found["filters"][name] = score_filter(is_dropped[is_known], is_wrong[is_known])
        tiles["reason"] = reasons
        run.data.dropped_tiles = str(list_dropped(home / name, tiles[is_dropped]))
        (answered,) = run_study([{"run": run}], home / name, test_images)
        answers[f"without dropped tiles: {name}"] = answered["run"]
    found["auroc"] = {name: round(auroc_of(one), 4) for name, one in answers.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=3)
    arguments = parser.parse_args()

    table, folder = pd.read_csv(arguments.manifest, dtype=str), arguments.manifest.resolve().parent
    for column in ("path", "region"):
        is_given = table[column].notna()
        table.loc[is_given, column] = [str(folder / path) for path in table[column][is_given]]
    table["split"] = table["split"].replace("holdout", "test")
    table["true_label"] = table["label"]
    # Dozens of runs share a few programs.
    cache = Path("~/.cache/iqa_jax/compiled").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(cache))
    result = {}
    # Progress goes to stderr: stdout is for the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        for share in FLIPPED:
            home = arguments.output.resolve() / f"flipped_{share:g}"
            home.mkdir(parents=True, exist_ok=True)
            flip_labels(table, share, seed=0).to_csv(home / "manifest.csv", index=False)
            config = noisy_tiles.get_config()
            config.data.manifest, config.noise.folds = str(home / "manifest.csv"), arguments.folds
            result[f"{share:g}"] = measure(config, table.set_index("path")["label"], home)
            print(f"{share:.0%} flipped: {json.dumps(result[f'{share:g}'])}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
