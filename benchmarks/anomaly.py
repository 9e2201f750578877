"""Finds planted degraded tiles by their distance from good ones; prints one JSON object.

    python -m benchmarks.anomaly [--seeds=3] [--noise=0,0.1,0.2,0.4] [--folder=data/anomaly]

Small tiles of the sample photos, a frozen encoder. Detectors are fitted on tiles of training
images labelled good, of which a share has been flipped: as many bad ones pass for good. Beside
them are the tile scores of a classifier trained on the same labels, and the detectors on the
embeddings of a run of `loss.name=supcon` trained on them too.

Truth is the masks of images of scenes that training never saw (all splits but `train`): tiles
degraded by half or more against tiles not touched. `within` is the AUROC among the tiles of one
image, averaged over images, `across` that over all tiles together, where a tile of a strange scene
may seem worse than a bad one of a familiar scene. 0.5 is chance; means over seeds, with the
standard deviation.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.folds import summarise
from benchmarks.planted_regions import judge_tiles
from configs import planted_regions
from input_pipeline import sample_photos
from input_pipeline.tables.regions import find_regions, load_region
from iqa_jax.analysis.detectors import DETECTORS, fit_detector
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.training.data import TrainingData, prepare_training
from iqa_jax.training.loop import fit

# A covariance of more tiles than this takes minutes in thousands of dimensions.
TILES, MEMORY = 1500, 1000
Judged = Mapping[int, tuple[np.ndarray, np.ndarray]]  # image_id -> as `judge_tiles`.
TileScores = Callable[[int], np.ndarray]  # image_id -> [tile], higher is worse.


def flip_labels(data: TrainingData, noise: float, seed: int) -> TrainingData:
    """Calls a share of the bad training images good, and of the good ones bad."""
    images, rng = data.manifest.images.copy(), np.random.default_rng(seed)
    for label in (0, 1):
        is_one = (data.manifest.images["label"] == label) & (images["split"] == "train")
        rows = images.index[is_one]
        flipped = rng.choice(rows, round(noise * len(rows)), replace=False)
        images.loc[flipped, "label"] = 1 - label
    manifest = dataclasses.replace(data.manifest, images=images)
    return dataclasses.replace(
        data, manifest=manifest, targets={"label": images["label"].to_numpy()}
    )


def find_judged(
    config: ml_collections.ConfigDict, data: TrainingData
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Finds the images of unseen scenes that have tiles to rank."""
    judged, splits = {}, data.manifest.images["split"]
    for image_id, path in find_regions(data.manifest).items():
        if splits[image_id] == "train":
            continue
        layout = data.source.layout(image_id)
        region = load_region(path, layout.height, layout.width, max_pixels=config.data.max_pixels)
        found = judge_tiles(layout.grid.origins, region, config.tiles.size)
        judged |= {image_id: found} if found else {}
    return judged


def measure(scores: TileScores, judged: Judged) -> dict[str, float]:
    """Gives the AUROC within images and across them."""
    values = [scores(image_id)[is_judged] for image_id, (is_judged, _) in judged.items()]
    truths = [truth for _, truth in judged.values()]
    within = [roc_auc_score(*one) for one in zip(truths, values, strict=True)]
    across = roc_auc_score(np.concatenate(truths), np.concatenate(values))
    return {"within": float(np.mean(within)), "across": float(across)}


def measure_detectors(
    embed: Callable[[int], np.ndarray], good: Sequence[int], judged: Judged, seed: int
) -> dict[str, dict[str, float]]:
    """Fits every detector on the tiles of some images and measures it on others."""
    tiles = np.concatenate([embed(image_id) for image_id in good])
    rng = np.random.default_rng(seed)
    tiles = tiles[rng.choice(len(tiles), min(TILES, len(tiles)), replace=False)]
    found = {}
    for kind in DETECTORS:
        detector = fit_detector(kind, tiles, memory=MEMORY, seed=seed)
        found[kind] = measure(lambda image_id, of=detector: of(embed(image_id)), judged)
    return found


def train_run(
    config: ml_collections.ConfigDict, data: TrainingData, folder: Path, **changes: object
) -> tuple[ml_collections.ConfigDict, dict]:
    """Trains a run on the labels of `data`; gives its config and variables."""
    config = ml_collections.ConfigDict(config.to_dict())
    config.update_from_flattened_dict(changes)
    shutil.rmtree(folder, ignore_errors=True)
    workdir = Workdir(folder)
    workdir.open_for_training(config, data.manifest)
    if stopped_by := fit(config, data, workdir):
        raise SystemExit(128 + stopped_by)
    return config, variables_from_config(workdir, config)[0]


def project(config: ml_collections.ConfigDict, variables: dict, embeddings: np.ndarray):
    """Gives what a run of supcon embeds each tile by."""
    model, dim = build.model_from_config(config), config.loss.supcon.projection_dim
    count = len(embeddings)
    bags = {
        "embeddings": jnp.asarray(embeddings)[None],
        "features": jnp.zeros((1, count, 0)),
        "tile_mask": jnp.ones((1, count), bool),
        "tile_position": jnp.zeros((1, count, 2), jnp.int32),
        "grid_shape": jnp.ones((1, 2), jnp.int32),
    }
    answer = model.apply(variables, bags, method="answer")
    return answer.tile_logits[0, :, :dim]


def measure_seed(
    config: ml_collections.ConfigDict, data: TrainingData, judged: Judged, noise: float, seed: int,
    folder: Path,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Measures everything on one draw of flipped labels."""
    config.seed = seed
    noisy = flip_labels(data, noise, seed)

    def embed(image_id):
        return np.asarray(data.embeddings(image_id)[0])

    train = noisy.manifest.split("train")
    good = train.index[train["label"] == 1]
    found = measure_detectors(embed, good, judged, seed)
    own, variables = train_run(config, noisy, folder / "classifier")
    evaluator = evaluator_from_config(
        own, noisy.manifest, data.source, data.features, data.embeddings
    )
    answers = evaluator.answers(variables, list(judged))
    binary = KINDS["binary"]()
    values = {one.image_id: -binary.score_of(one.tile_values) for one in answers}
    found["classifier"] = measure(values.__getitem__, judged)
    own, variables = train_run(
        config, noisy, folder / "supcon",
        **{"loss.name": "supcon", "loss.tile_weight": 0.0, "evaluation.fusion": "mean_embedding"},
    )  # fmt: skip
    embed_by = jax.jit(partial(project, own, variables))
    on_supcon = measure_detectors(
        lambda image_id: np.asarray(embed_by(embed(image_id))), good, judged, seed
    )
    return found | {f"{kind}_on_supcon": figures for kind, figures in on_supcon.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise", default="0,0.1,0.2,0.4", help="shares flipped, by commas")
    parser.add_argument("--folder", type=Path, default=Path("data/anomaly"))
    arguments = parser.parse_args()
    config = planted_regions.get_config()
    config.data.manifest = str(arguments.folder / "photos" / "manifest.csv")
    result = {}
    # Progress goes to stderr: stdout is for the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        if not Path(config.data.manifest).exists():
            sample_photos.write(arguments.folder / "photos")
        manifest = build.manifest_from_config(config)
        workdir = Workdir(arguments.folder)
        data = prepare_training(config, manifest, workdir)
        judged = find_judged(config, data)
        for noise in map(float, arguments.noise.split(",")):
            runs = []
            for seed in range(arguments.seeds):
                start = time.monotonic()
                runs.append(measure_seed(config, data, judged, noise, seed, arguments.folder))
                print(f"noise {noise}, seed {seed}: {time.monotonic() - start:.0f} s {runs[-1]}")
            result[str(noise)] = {
                name: {
                    figure: summarise([run[name][figure] for run in runs])
                    for figure in ("within", "across")
                }
                for name in runs[0]
            }
    tiles = [truth for _, truth in judged.values()]
    print(
        json.dumps(
            {
                "images": len(judged),
                "degraded_tiles": int(sum(truth.sum() for truth in tiles)),
                "untouched_tiles": int(sum((~truth).sum() for truth in tiles)),
                "seeds": arguments.seeds,
                "flipped": result,
            }
        )
    )


if __name__ == "__main__":
    main()
