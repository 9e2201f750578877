"""Trains and tests a recipe on every choice of two scenes left out, and prints one JSON object.

    python benchmarks/leave_scenes_out.py --manifest=data/sample_photos/manifest.csv \
        --output=runs/leave_two_out [--jobs=1] [-- --config.epochs=2]

Each fold trains on the other scenes, except the two next in the list, which choose the checkpoint.
A fold whose metrics are there is not trained again, so the command can be stopped and repeated.
"""

import argparse
import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def write_fold(table: pd.DataFrame, folder: Path, test: tuple[str, ...]) -> Path:
    """Writes the manifest of a fold, with absolute paths, and returns it."""
    scenes = sorted(table["group"].unique())
    after = [scenes[(scenes.index(test[-1]) + k) % len(scenes)] for k in range(1, len(scenes))]
    val = [scene for scene in after if scene not in test][:2]
    split = table["group"].map(
        lambda scene: "test" if scene in test else "val" if scene in val else "train"
    )
    path = folder / "manifest.csv"
    folder.mkdir(parents=True, exist_ok=True)
    table.assign(split=split).to_csv(path, index=False)
    return path


def run_fold(folder: Path, manifest: Path, config: str, overrides: list[str]) -> dict:
    """Trains one fold in a process of its own and returns its test metrics."""
    metrics = folder / "run" / "metrics.json"
    if not metrics.exists():
        command = [sys.executable, str(ROOT / "main.py"), f"--config={config}"]
        command += [f"--workdir={folder / 'run'}", f"--config.data.manifest={manifest}", *overrides]
        with (folder / "log.txt").open("w") as log:
            subprocess.run(command, check=True, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    return json.loads(metrics.read_text())["test"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--config", default=str(ROOT / "configs" / "quickstart.py"))
    parser.add_argument("--scenes", default="", help="comma-separated; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="folds trained at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.manifest)
    folder = arguments.manifest.resolve().parent
    table["path"] = [str(folder / path) for path in table["path"]]
    if arguments.scenes:
        table = table[table["group"].isin(arguments.scenes.split(","))]
    folds = list(itertools.combinations(sorted(table["group"].unique()), 2))

    def run(test):
        place = arguments.output / "+".join(test)
        manifest = write_fold(table, place, test)
        return run_fold(place, manifest.resolve(), arguments.config, arguments.overrides)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = dict(zip(folds, pool.map(run, folds), strict=True))
    fusions = next(iter(results.values()))["fusions"]
    auroc = {
        fusion: np.array([test["fusions"][fusion]["auroc"] for test in results.values()])
        for fusion in fusions
    }
    figures = {
        fusion: {
            "median": np.median(values),
            "mean": values.mean(),
            "lowest": values.min(),
            "share_of_folds_from_0.95": (values >= 0.95).mean(),
        }
        for fusion, values in auroc.items()
    }
    by_fold = {
        "+".join(test): {fusion: values[place] for fusion, values in auroc.items()}
        for place, test in enumerate(folds)
    }
    print(json.dumps({"folds": len(folds), "auroc": figures, "auroc_by_fold": by_fold}))


if __name__ == "__main__":
    main()
