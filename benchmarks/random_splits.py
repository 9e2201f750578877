"""Trains and tests a recipe on several random splits, and prints one JSON object.

    python -m benchmarks.random_splits --config=configs/mos.py --manifest=live/manifest.csv \
        --output=runs/mos_splits [--splits=10] [--jobs=1] [-- --config.epochs=20]

Split k is drawn with `seed` k: 70 % to train on, 10 % to choose the checkpoint, 20 % to test on.
Everything that is fitted is fitted inside the split. The command can be stopped and repeated.
"""

import argparse
import json
from pathlib import Path

from benchmarks.folds import run_folds, summarise_fusions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="splits trained at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()
    folds = {
        f"split_{seed}": [
            f"--config={Path(arguments.config).resolve()}",
            f"--config.data.manifest={arguments.manifest.resolve()}",
            f"--config.seed={seed}",
            "--config.data.fractions=(0.7, 0.1, 0.2)",
            *arguments.overrides,
        ]
        for seed in range(arguments.splits)
    }
    results = run_folds(folds, arguments.output.resolve(), arguments.jobs)
    print(
        json.dumps(
            {
                "splits": len(folds),
                **{
                    split: {
                        metric: summarise_fusions(results, split, metric)
                        for metric in ("srcc", "plcc")
                    }
                    for split in ("val", "test")
                },
            }
        )
    )


if __name__ == "__main__":
    main()
