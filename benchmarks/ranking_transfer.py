"""Opinion scores with and without ranking before, from few and many labels; prints one JSON object.

    python main.py --config=configs/ranking.py --config.data.manifest=photos --workdir=runs/ranking
    python -m benchmarks.ranking_transfer --ranking=runs/ranking --manifest=live/manifest.csv \
        --output=runs/ranking_transfer [--splits=5] [--jobs=1]

`configs/mos.py`, whose encoder stays as it is, on ImageNet's encoder and on that of a ranking run.
Split k is drawn with seed k: a fifth of the images is tested, and of the others a part trains. Both
encoders have the same splits, larger parts hold the smaller ones, and no image chooses anything.
The command can be stopped and repeated.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.folds import ROOT, run_folds, summarise

SHARES = (0.1, 0.3, 1.0)
FUSION = "mean_embedding"


def write_rows(folder: Path, names: pd.Series, seed: int, share: float) -> Path:
    """Writes which images are tested and which train."""
    order = np.random.default_rng(seed).permutation(len(names))
    tested = len(names) // 5
    trained = round(share * (len(names) - tested))
    split = np.full(len(names), "unused", object)
    split[order[:tested]] = "test"
    split[order[tested : tested + trained]] = "train"
    path = folder / f"rows_{seed}_{share}.csv"
    pd.DataFrame({"name": names, "split": split}).to_csv(path, index=False)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranking", type=Path, required=True, help="workdir of the ranking run")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    names = pd.read_csv(arguments.manifest)["path"]
    encoders = {"imagenet": "imagenet", "ranking": arguments.ranking.resolve()}
    folds = {
        f"{encoder}_{share}_{seed}": [
            f"--config={ROOT / 'configs' / 'mos.py'}",
            f"--config.data.manifest={arguments.manifest.resolve()}",
            f"--config.data.split_rows={write_rows(output, names, seed, share)}",
            f"--config.model.weights={weights}",
            f"--config.seed={seed}",
        ]
        for seed in range(arguments.splits)
        for share in SHARES
        for encoder, weights in encoders.items()
    }
    found = run_folds(folds, output, arguments.jobs)
    result = {"splits": arguments.splits, "images": len(names)}
    for share in SHARES:
        srcc = {
            encoder: [
                found[f"{encoder}_{share}_{seed}"]["test"]["fusions"][FUSION]["srcc"]
                for seed in range(arguments.splits)
            ]
            for encoder in encoders
        }
        gain = np.subtract(srcc["ranking"], srcc["imagenet"])
        result[f"{share:.0%} of the training labels"] = {
            **{encoder: summarise(values) for encoder, values in srcc.items()},
            "ranking - imagenet, split by split": summarise(gain),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
