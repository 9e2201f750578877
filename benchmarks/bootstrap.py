"""Times the bootstrap intervals of all headline figures of each label kind; prints one JSON object.

    python -m benchmarks.bootstrap [--rows=10000]

Every row is a group of its own, which is the dearest case.
"""

import argparse
import json
import os
import time

import numpy as np

from iqa_jax.analysis.bootstrap import DRAWS, group_intervals
from iqa_jax.analysis.kinds import KINDS


def make_answers(kind: str, rows: int) -> tuple[np.ndarray, np.ndarray, dict]:
    """Makes answers of one label kind, their labels, and what else its measures need."""
    rng = np.random.default_rng(0)
    if kind == "numeric":
        labels = rng.uniform(0, 100, rows)
        predictions = labels + rng.normal(scale=20, size=rows)
        extra = {"mapped": 0.9 * predictions + 5, "std": rng.uniform(5, 20, rows)}
        return predictions[:, None], labels, extra
    classes = 2 if kind == "binary" else 5
    labels = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels, {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    seconds, cpu_seconds, left_out = {}, {}, {}
    load = os.getloadavg()[0]
    for kind in ("binary", "ordered", "unordered", "numeric"):
        values, labels, extra = make_answers(kind, rows)
        start, cpu_start = time.perf_counter(), time.process_time()
        measures = KINDS[kind]().measures(values, labels, **extra)
        intervals = group_intervals(measures, np.arange(rows))
        seconds[kind] = round(time.perf_counter() - start, 2)
        cpu_seconds[kind] = round(time.process_time() - cpu_start, 2)
        left_out[kind] = [name for name, interval in intervals.items() if interval is None]
    print(
        json.dumps(
            {
                "rows": rows,
                "draws": DRAWS,
                "cores": os.cpu_count(),
                "load_average_before": round(load, 2),
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "left_out": left_out,
            }
        )
    )


if __name__ == "__main__":
    main()
