"""Trains opinion scores on random splits, frozen and then fine-tuned, and prints one JSON object.

    python -m benchmarks.finetune_splits --manifest=live/manifest.csv --output=runs/splits \
        [--splits=10] [--jobs=1] [-- --config.epochs=2]

On each split `configs/mos.py` trains on 80 % of the images, `configs/mos_finetune.py` on the same
images, to answer together with it, and both are tested on the other 20 %. Split k is drawn with
`seed` k. No image chooses a checkpoint. The command can be stopped and repeated; what stands after
-- goes to the fine-tuning.
"""

import argparse
import json
from pathlib import Path

from benchmarks.folds import ROOT, run_folds, summarise_fusions

RECIPES = ("mos", "mos_finetune")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="splits trained at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    result = {"splits": arguments.splits}
    for recipe in RECIPES:
        folds = {
            f"split_{seed}/{recipe}": [
                f"--config={ROOT / 'configs' / recipe}.py",
                f"--config.data.manifest={arguments.manifest.resolve()}",
                f"--config.seed={seed}",
                "--config.data.fractions=(0.8, 0.0, 0.2)",
            ]
            for seed in range(arguments.splits)
        }
        if recipe != RECIPES[0]:
            for seed, command in enumerate(folds.values()):
                first = output / f"split_{seed}" / RECIPES[0] / "run"
                command += [f"--config.model.ensemble=('{first}',)", *arguments.overrides]
        found = run_folds(folds, output, arguments.jobs)
        result[recipe] = {
            metric: summarise_fusions(found, "test", metric) for metric in ("srcc", "plcc")
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
