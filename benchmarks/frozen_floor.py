"""Fits ridge and SVR on frozen whole-image features, on a comparison's splits; prints one JSON.

    python main.py --mode=compare --config=configs/mos.py --workdir=runs/compare ...
    python -m benchmarks.frozen_floor --manifest=live/manifest.csv --label=mos --study=runs/compare

The floor that a fusion of tiles should clear: mean and standard deviation of the encoder's last
feature map over the whole image, ImageNet weights, scikit-learn's regressors with standardised
features. Both are fitted on all rows of a split that are not tested; the ridge's penalty is chosen
by leave-one-out on those, the SVR's is fixed. Beside them, the figures of the comparison.
"""

import argparse
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from benchmarks.folds import summarise
from input_pipeline.images import load
from iqa_jax.models.mobilenet_v2 import MobileNetV2, pool_stages
from iqa_jax.models.pretrained import load_pretrained
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION

MAX_PIXELS = 250_000_000
REGRESSORS = {
    "ridge": lambda: RidgeCV(10.0 ** np.arange(1, 6)),
    "svr": lambda: SVR(C=50, epsilon=1.0),
}


def embed(paths: list[Path]) -> np.ndarray:
    """Gives mean and deviation of the last feature map of whole images, [image, 2560]."""
    encoder, variables = MobileNetV2(), load_pretrained()

    @jax.jit
    def encode(image):
        normalised = (image / 255 - np.array(MEAN)) / np.array(STANDARD_DEVIATION)
        return pool_stages([encoder.apply(variables, normalised[None], method="features")])[0]

    rows = []
    for done, path in enumerate(paths, start=1):
        rows.append(np.asarray(encode(load(path, max_pixels=MAX_PIXELS).astype(np.float32))))
        if done % 50 == 0 or done == len(paths):
            print(f"{done} of {len(paths)} images", file=sys.stderr, flush=True)
    return np.stack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--label", default="mos")
    parser.add_argument("--study", type=Path, required=True, help="workdir of the comparison")
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.manifest).set_index("path")
    features = embed([arguments.manifest.parent / path for path in table.index])
    labels = table[arguments.label].to_numpy()
    figures: dict[str, dict[str, list[float]]] = {
        name: {"srcc": [], "plcc": []} for name in REGRESSORS
    }
    splits = sorted(arguments.study.glob("split_*/rows.csv"), key=lambda p: int(p.parent.name[6:]))
    for path in splits:
        is_test = (pd.read_csv(path).set_index("name")["split"] == "test").reindex(table.index)
        is_test = is_test.to_numpy(bool)
        for name, make in REGRESSORS.items():
            model = make_pipeline(StandardScaler(), make())
            predicted = model.fit(features[~is_test], labels[~is_test]).predict(features[is_test])
            figures[name]["srcc"].append(stats.spearmanr(predicted, labels[is_test]).statistic)
            figures[name]["plcc"].append(stats.pearsonr(predicted, labels[is_test]).statistic)
    result = {
        name: {metric: summarise(values) for metric, values in of_model.items()}
        for name, of_model in figures.items()
    }
    compared = json.loads((arguments.study / "comparison.json").read_text())
    print(
        json.dumps(
            {
                "splits": len(splits),
                "floor": result,
                "metric": compared["metric"],
                "members": {
                    row["fusion"]: summarise(row["figures"]) for row in compared["members"]
                },
            }
        )
    )


if __name__ == "__main__":
    main()
