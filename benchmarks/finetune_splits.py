"""Trains opinion scores on random splits, frozen and with a second recipe; prints one JSON object.

    python -m benchmarks.finetune_splits --manifest=live/manifest.csv --output=runs/splits \
        [--second=mos_finetune] [--name=second] [--splits=10] [--jobs=1] [-- --config.epochs=2]

On each split `configs/mos.py` trains on 80 % of the images, the second recipe on the same images,
to answer together with it, and both are tested on the other 20 %. Split k is drawn with `seed` k.
No image chooses a checkpoint. The command can be stopped and repeated; what stands after -- goes to
the second recipe, as `--second=mos -- --config.model.weights=runs/biq2021` for another encoder.
Several such in one --output have a --name each, and the first recipe is trained once for all.
"""

import argparse
import json
from pathlib import Path

from benchmarks.folds import ROOT, run_folds, summarise_fusions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--second", default="mos_finetune", help="recipe of configs/")
    parser.add_argument("--name", default="second", help="of the second recipe's results")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="splits trained at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    result = {"splits": arguments.splits, "second": [arguments.second, *arguments.overrides]}
    for name, recipe in (("mos", "mos"), (arguments.name, arguments.second)):
        folds = {
            f"split_{seed}/{name}": [
                f"--config={ROOT / 'configs' / recipe}.py",
                f"--config.data.manifest={arguments.manifest.resolve()}",
                f"--config.seed={seed}",
                "--config.data.fractions=(0.8, 0.0, 0.2)",
            ]
            for seed in range(arguments.splits)
        }
        if name != "mos":
            for seed, command in enumerate(folds.values()):
                first = output / f"split_{seed}" / "mos" / "run"
                command += [f"--config.model.ensemble=('{first}',)", *arguments.overrides]
        found = run_folds(folds, output, arguments.jobs)
        result[name] = {
            metric: summarise_fusions(found, "test", metric) for metric in ("srcc", "plcc")
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
