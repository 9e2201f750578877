"""SRCC by number of labels, with encoders from elsewhere, and prints one JSON object.

    python -m benchmarks.learning_curve --manifest=live/manifest.csv \
        --weights imagenet runs/biq2021 [--labels 20 50 100 200] [--splits=10]

Every encoder is frozen and embeds the images as `configs/mos.py` does; a kernel ridge regression
(`iqa_jax.analysis.kernel_ridge`) learns from the first so many labels of a split and answers its
other fifth of the images. `both` has the dimensions of all encoders beside each other. Split k is
drawn with seed k, and all encoders meet the same labels: `gain` is the difference to the first of
them, the mean over splits with its standard deviation.
"""

import argparse
import json

import numpy as np
from scipy.spatial.distance import cdist

from configs import mos
from iqa_jax.analysis.kernel_ridge import KernelRidge, fit_kernel_ridge
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.host.memory import keep_freed_memory
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.embedding_cache import embeddings_from_config

TEST_SHARE = 0.2


def embed(manifest_path: str, weights: str) -> tuple[np.ndarray, np.ndarray]:
    """Gives the mean embedding of every image, and its opinion score."""
    config = mos.get_config()
    config.data.manifest, config.model.weights, config.bags.copies = manifest_path, weights, 1
    manifest = build.manifest_from_config(config, whole="all")
    source = build.source_from_config(config, manifest)
    read = embeddings_from_config(config, initial_variables(config), source)
    found = np.stack([read(image_id)[0].mean(axis=0) for image_id in range(len(source))])
    return found, manifest.images["label"].to_numpy(np.float64)


def answer(fitted: KernelRidge, embeddings: np.ndarray) -> np.ndarray:
    """Answers images by a regression fitted on others."""
    distances = cdist(embeddings, fitted.support, "sqeuclidean")
    return (np.exp(-fitted.gamma * distances) @ fitted.dual + fitted.offset)[:, 0]


def srcc_of(embeddings: np.ndarray, scores: np.ndarray, labelled: int, seed: int) -> float:
    """Gives the SRCC on a split's test images after so many labels of the others."""
    order = np.random.default_rng(seed).permutation(len(scores))
    test, train = np.split(order, [round(TEST_SHARE * len(scores))])
    train = train[:labelled]
    # Of the labelled images alone, as the network's norm of embeddings does.
    spread = embeddings[train].std(axis=0) + 1e-6
    fitted = fit_kernel_ridge(embeddings[train] / spread, scores[train, None])
    found = score_metrics(answer(fitted, embeddings[test] / spread), scores[test])["srcc"]
    assert found is not None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--weights", nargs="+", default=["imagenet"])
    parser.add_argument("--labels", nargs="+", type=int, default=[20, 50, 100, 200])
    parser.add_argument("--splits", type=int, default=10)
    arguments = parser.parse_args()
    keep_freed_memory()
    encoders, scores = {}, np.zeros(0)
    for weights in arguments.weights:
        encoders[weights], scores = embed(arguments.manifest, weights)
    if len(encoders) > 1:
        encoders["both"] = np.concatenate([*encoders.values()], axis=1)
    most = len(scores) - round(TEST_SHARE * len(scores))
    rows = []
    for labelled in [*(count for count in arguments.labels if count < most), most]:
        first = None
        for name, embeddings in encoders.items():
            found = np.array(
                [srcc_of(embeddings, scores, labelled, seed) for seed in range(arguments.splits)]
            )
            first = found if first is None else first
            gain = found - first
            rows.append(
                {
                    "encoder": name,
                    "labels": labelled,
                    "srcc_median": round(float(np.median(found)), 4),
                    "srcc_mean": round(float(found.mean()), 4),
                    "srcc_std": round(float(found.std(ddof=1)), 4),
                    "gain_mean": round(float(gain.mean()), 4),
                    "gain_std": round(float(gain.std(ddof=1)), 4),
                }
            )
    print(json.dumps({"manifest": arguments.manifest, "splits": arguments.splits, "rows": rows}))


if __name__ == "__main__":
    main()
