"""Shows how a feature stage fitted on images of the test split flatters; prints one JSON object.

    python -m benchmarks.leak [--splits=10] [--folder=data/leak]

The recipe is DeepBIQ's: a network is fine-tuned to sort images into five classes of opinion
scores, and a support vector regression of its last hidden layer predicts the score. The
regression is always fitted on training scenes and tested on other scenes. What differs is what
the feature stage was fitted on:

* `frozen`: nothing; the features are those of MobileNetV2 as trained on ImageNet;
* `inside`: the training scenes of the split;
* `leaking`: all images, those of the test scenes too.

Scores are made up for the sample photos, from the degradation of each image and a spread that
nothing in the picture explains; and, as a control, shuffled among the images, so that whoever
predicts them on a new scene has cheated. The feature stage is two layers on frozen embeddings.
"""

import argparse
import contextlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from benchmarks.folds import summarise
from configs import default
from input_pipeline import sample_photos
from input_pipeline.tables.splits import assign_splits
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.embedding_cache import embeddings_from_config

HIDDEN, EPOCHS, CLASSES = 64, 60, 5
STAGES = ("frozen", "inside", "leaking")


def embed_photos(folder: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Makes the sample photos and their mean tile embeddings, both only once.

    Returns:
        [image, dim] float64, and the manifest's rows in the same order.
    """
    path, known = folder / "manifest.csv", folder / "embeddings.npy"
    if not path.exists():
        sample_photos.write(folder)
    table = pd.read_csv(path)
    if known.exists():
        return np.load(known), table
    config = default.get_config()
    config.data.manifest, config.bags.cached = str(path), True
    config.tiles.size = config.tiles.stride = 128
    config.bags.cache_folder = str(folder / "embeddings")
    config.model.trainable_layers = 0
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    # Progress goes to stderr: stdout is for the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        read = embeddings_from_config(config, initial_variables(config), source)
    means = [read(row)[0].mean(axis=0, dtype=np.float64) for row in range(len(table))]
    np.save(known, np.stack(means))
    return np.stack(means), table


def make_opinions(table: pd.DataFrame) -> np.ndarray:
    """Makes up mean opinions from 0 to 100: worse with the level, and of a spread of their own."""
    spread = np.random.default_rng(0).normal(scale=12, size=len(table))
    return np.clip(80 - 12 * table["level"].to_numpy() + spread, 0, 100)


def fit_features(embeddings: np.ndarray, scores: np.ndarray, rows: np.ndarray, seed: int):
    """Fits the feature stage on some rows, and gives the features of all.

    Args:
        embeddings: [image, dim].
        scores: [image], from 0 to 100.
        rows: [image], True where the stage may look.
        seed: of its first weights and batches.
    """
    scaler = StandardScaler().fit(embeddings[rows])
    scaled = scaler.transform(embeddings)
    classes = np.minimum(scores * CLASSES // 100, CLASSES - 1).astype(int)
    network = MLPClassifier((HIDDEN,), max_iter=EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        # It trains for so many epochs, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(scaled[rows], classes[rows])
    return np.maximum(scaled @ network.coefs_[0] + network.intercepts_[0], 0)


def test_regression(features: np.ndarray, scores: np.ndarray, is_train: np.ndarray) -> dict:
    """Fits the regression on the training rows and tests it on the others."""
    mean, spread = scores[is_train].mean(), scores[is_train].std()
    regression = make_pipeline(StandardScaler(), SVR())
    regression.fit(features[is_train], (scores[is_train] - mean) / spread)
    predicted = mean + spread * regression.predict(features[~is_train])
    figures = score_metrics(predicted, scores[~is_train])
    return {name: figures[name] for name in ("srcc", "plcc")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("data/leak"))
    arguments = parser.parse_args()
    embeddings, table = embed_photos(arguments.folder)
    opinions = make_opinions(table)
    shuffled = np.random.default_rng(1).permutation(opinions)
    found = {}
    for name, scores in (("opinions", opinions), ("shuffled", shuffled)):
        figures: dict[str, list[dict]] = {stage: [] for stage in STAGES}
        for seed in range(arguments.splits):
            split = assign_splits(
                scores, table["group"].to_numpy(), {"train": 0.8, "test": 0.2}, seed
            )
            is_train = split == "train"
            features = {
                "frozen": embeddings,
                "inside": fit_features(embeddings, scores, is_train, seed),
                "leaking": fit_features(embeddings, scores, np.ones_like(is_train), seed),
            }
            for stage in STAGES:
                figures[stage].append(test_regression(features[stage], scores, is_train))
        found[name] = {
            metric: {
                **{stage: summarise([f[metric] for f in figures[stage]]) for stage in STAGES},
                "flattered_by": summarise(
                    [
                        leaking[metric] - inside[metric]
                        for leaking, inside in zip(
                            figures["leaking"], figures["inside"], strict=True
                        )
                    ]
                ),
            }
            for metric in ("srcc", "plcc")
        }
    print(
        json.dumps(
            {
                "images": len(table),
                "scenes": int(table["group"].nunique()),
                "splits": arguments.splits,
                **found,
            }
        )
    )


if __name__ == "__main__":
    main()
