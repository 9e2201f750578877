"""Learns to rank degraded versions of clean photographs, and prints one JSON object.

    python -m benchmarks.ranking --photos=FOLDER --output=runs/ranking_seeds [--seeds=3] \
        [--jobs=1] [-- --config.epochs=10]

`configs/ranking.py` trains once per seed, which also draws the photographs to test on. Printed are
the pair accuracies on photographs never seen, with the kinds of distortion that were trained on and
with those that were not, and the share of the training loop's time in which it did not wait for
data. The command can be stopped and repeated.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.folds import ROOT, run_folds, summarise
from iqa_jax.run.workdir import Workdir

FIGURES = ("pair_accuracy", "unseen_pair_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder or manifest")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()
    folds = {
        f"seed_{seed}": [
            f"--config={ROOT / 'configs' / 'ranking.py'}",
            f"--config.data.manifest={arguments.photos.resolve()}",
            f"--config.seed={seed}",
            *arguments.overrides,
        ]
        for seed in range(arguments.seeds)
    }
    found = run_folds(folds, arguments.output.resolve(), arguments.jobs)
    waiting = [
        row["train/waiting_for_data"]
        for name in folds
        for row in Workdir(arguments.output / name / "run").history()
        if "train/waiting_for_data" in row
    ]
    kinds = found["seed_0"]["test"]["pair_accuracy_by_kind"]
    print(
        json.dumps(
            {
                "seeds": arguments.seeds,
                "photos_tested": [metrics["test"]["groups"] for metrics in found.values()],
                "steps": [metrics["test"]["step"] for metrics in found.values()],
                **{
                    name: summarise([metrics["test"][name] for metrics in found.values()])
                    for name in FIGURES
                },
                "by_kind": {
                    kind: float(
                        np.mean([m["test"]["pair_accuracy_by_kind"][kind] for m in found.values()])
                    )
                    for kind in kinds
                },
                "busy": 1 - float(np.mean(waiting)),
            }
        )
    )


if __name__ == "__main__":
    main()
