"""Trains and tests a recipe on every choice of two scenes left out, and prints one JSON object.

    python -m benchmarks.leave_scenes_out --manifest=data/sample_photos/manifest.csv \
        --output=runs/leave_two_out [--jobs=1] [-- --config.epochs=2]

Each fold trains on the other scenes, except the two next in the list, which choose the checkpoint.
The command can be stopped and repeated.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from benchmarks.folds import ROOT, run_folds, summarise_fusions
from input_pipeline.tables.splits import leave_groups_out


def write_fold(table: pd.DataFrame, path: Path, test: tuple[str, ...]) -> None:
    """Writes the manifest of the fold that tests on some scenes."""
    scenes = sorted(table["group"].unique())
    after = [scenes[(scenes.index(test[-1]) + k) % len(scenes)] for k in range(1, len(scenes))]
    val = [scene for scene in after if scene not in test][:2]
    split = table["group"].map(
        lambda scene: "test" if scene in test else "val" if scene in val else "train"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table.assign(split=split).to_csv(path, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--config", default=str(ROOT / "configs" / "quickstart.py"))
    parser.add_argument("--jobs", type=int, default=1, help="folds trained at once")
    parser.add_argument("overrides", nargs="*", help="after --: --config.KEY=VALUE ...")
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.manifest)
    folder = arguments.manifest.resolve().parent
    table["path"] = [str(folder / path) for path in table["path"]]
    output = arguments.output.resolve()
    folds = {}
    for _, is_test in leave_groups_out(table["group"].to_numpy(), 2):
        test = tuple(sorted(table["group"][is_test].unique()))
        name = "+".join(test)
        manifest = output / name / "manifest.csv"
        write_fold(table, manifest, test)
        folds[name] = [
            f"--config={arguments.config}",
            f"--config.data.manifest={manifest}",
            *arguments.overrides,
        ]
    results = run_folds(folds, output, arguments.jobs)
    headline = {name: fold["test"]["auroc"] for name, fold in results.items()}
    print(
        json.dumps(
            {
                "folds": len(folds),
                "auroc": summarise_fusions(results, "test", "auroc"),
                "share_of_folds_from_0.95": sum(v >= 0.95 for v in headline.values()) / len(folds),
                "auroc_by_fold": headline,
            }
        )
    )


if __name__ == "__main__":
    main()
