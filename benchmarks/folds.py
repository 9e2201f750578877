"""Runs of one recipe on many splits: each in a process of its own, none trained twice."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def run_folds(folds: Mapping[str, Sequence[str]], output: Path, jobs: int) -> dict[str, dict]:
    """Trains every fold that has no metrics yet.

    Args:
        folds: name -> arguments of main.py.
        output: a folder per fold is made in it.
        jobs: folds trained at once.

    Returns:
        Name -> what metrics.json holds.
    """

    def run(name: str) -> dict:
        folder = output / name
        metrics = folder / "run" / "metrics.json"
        recipe = folder / "arguments.json"
        if metrics.exists() and json.loads(recipe.read_text()) != list(folds[name]):
            raise SystemExit(f"{folder} was trained with other arguments; give another --output.")
        if not metrics.exists():
            folder.mkdir(parents=True, exist_ok=True)
            recipe.write_text(json.dumps(list(folds[name])))
            command = [sys.executable, str(ROOT / "main.py"), f"--workdir={folder / 'run'}"]
            with (folder / "log.txt").open("w") as log:
                subprocess.run(
                    [*command, *folds[name]],
                    check=True, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
        print(f"{name} done", file=sys.stderr, flush=True)
        return json.loads(metrics.read_text())

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(folds, pool.map(run, folds), strict=True))


def summarise(values: Sequence[float]) -> dict[str, float]:
    """Gives median, mean, spread and extremes of one figure over folds."""
    values = np.array(values, float)
    return {
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "standard_deviation": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "lowest": float(values.min()),
        "highest": float(values.max()),
    }


def summarise_fusions(
    results: Mapping[str, dict], split: str, metric: str
) -> dict[str, dict[str, float]]:
    """Summarises one figure of a split for every fusion."""
    fusions = next(iter(results.values()))[split]["fusions"]
    return {
        fusion: summarise([fold[split]["fusions"][fusion][metric] for fold in results.values()])
        for fusion in fusions
    }
