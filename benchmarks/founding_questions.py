"""Asks the founding questions of ten thousand labelled photographs; prints one JSON object.

    python -m benchmarks.founding_questions --manifest=biq2021/manifest.csv --output=runs/founding \
        [--questions=fusions,labels] [--sizes=300,1000] [--markdown]

`--questions` are some of

    fusions       which fusion pays, by number of images
    transformers  the same of transformers over tiles, one draw each
    labels        classes, grades, numbers, distributions: what the same labels are best read as
    noise         labels flipped on purpose: losses for them, and filters of tiles
    left_out      the parts of the tile classifier's recipe, each left out once
    mirrored      answers as the mean over an image and its mirror image
    anomaly       bad by distance from good tiles
    ood           technical pictures by distance and by dropout, against photographs
    separability  do neighbours among embeddings share a grade, supervised contrastive ones too
    copies        how far the scores of near copies differ

All are heads on the frozen ImageNet encoder, four tiles of 256² an image, embedded once. Thirds of
the scores of `train` are bad, marginal and good; binary labels are the outer two. Draw k of so many
training images is drawn with seed k, which also seeds the head. Thresholds between the three grades
are fitted on some 600 training images that train nothing. Tested are the images of `test` that look
like none of `train`. `--markdown` prints tables instead. What is finished is kept below `--output`
and not done again; for runs of other kinds it also has manifest.csv and, of every draw,
rows_<images>_<draw>.csv, as `data.split_rows` takes it.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.founding_bench import BY_TILE, Bench, answers_of, recipe
from benchmarks.founding_distances import (
    ask_anomaly,
    ask_copies,
    ask_ood,
    ask_separability,
    embed_pictures,
    strange_pictures,
)
from benchmarks.founding_figures import MEANINGS, Answers, compare, format_comparison
from benchmarks.founding_noise import ask_left_out, ask_noise
from benchmarks.founding_rows import read_rows
from benchmarks.founding_views import ask_mirrored

# Training images -> draws of so many, and updates of 32 images or 128 tiles.
DRAWS = {300: 2, 1000: 2, 3000: 1, 10_000: 1}
UPDATES = {300: 400, 1000: 400, 3000: 800, 10_000: 800}
REFERENCE = "tile classifier: mean score"


def fusion(name: str, positions: str = "") -> dict[str, Any]:
    """Gives the changes to the recipe that train another fusion."""
    changes = {"model.fusion": name, "evaluation.fusion": name}
    return changes | ({f"fusion.{name}.positions": positions} if positions else {})


# Run -> changes to the recipe.
FUSIONS = {
    "tiles": BY_TILE,
    "mean_embedding": {},
    "attention": fusion("attention"),
    "gated_attention": fusion("gated_attention"),
    "gated_attention_positions": fusion("gated_attention_positions"),
}
TRANSFORMERS = {
    "tile_vit, no positions": fusion("tile_vit", "none"),
    "tile_vit, 1-D": fusion("tile_vit", "learned_1d"),
    "tile_vit, 2-D": fusion("tile_vit", "sincos_2d"),
}
# Row -> kind of label, changes to the recipe.
LABELS = {
    "three classes: cross-entropy": ("ordered", {}),
    "outer thirds: cross-entropy": ("binary", {}),
    "ordinal: coral": ("ordered", {"loss.name": "coral"}),
    "regression: huber": ("numeric", {}),
    "regression: huber and PLCC": ("numeric", {"loss.regression.plcc_weight": 0.3}),
    "distribution: emd": ("numeric", {"loss.name": "emd"}),
}
NOISE_IMAGES, NOISE_DRAWS = 1000, 2
FEW_AND_MANY = (300, 10_000)


class Asked(NamedTuple):
    """What a question is asked of.

    Attributes:
        bench: the photographs and the runs on them.
        manifest: where they were read.
        draws: training images -> draws of so many.
    """

    bench: Bench
    manifest: Path
    draws: Mapping[int, int]


def ask_fusions(
    bench: Bench, draws: Mapping[int, int], runs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Compares fusions with the mean score of the tile classifier, by number of images."""
    found = {}
    for size, count in draws.items():
        parts: list[dict[str, Answers]] = [{} for _ in range(count)]
        for seed in range(count):
            bench.rows.list_draw(bench.output / f"rows_{size}_{seed}.csv", size, seed)
        for name, changes in runs.items():
            own = bench.config("binary", changes).model.fusion
            for seed, part in enumerate(parts):
                answered = bench.run(name, "binary", changes, size, seed)
                if name == "tiles":
                    for late in ("vote", "mean_score", "mean_embedding"):
                        row = f"tile classifier: {late.replace('_', ' ')}"
                        part[row] = answers_of("binary", answered, late)
                else:
                    part[name] = answers_of("binary", answered, own)
        found[str(size)] = compare(bench.rows, parts, REFERENCE)
    return {"reference": REFERENCE, "compared": found}


def ask_labels(bench: Bench, draws: Mapping[int, int]) -> dict[str, Any]:
    """Compares what the same labels are learnt as, on mean embeddings."""
    found, reference = {}, next(iter(LABELS))
    for size, count in draws.items():
        parts: list[dict[str, Answers]] = [{} for _ in range(count)]
        for row, (kind, changes) in LABELS.items():
            name = "mean_embedding" if kind == "binary" else row
            for seed, part in enumerate(parts):
                answered = bench.run(name, kind, changes, size, seed)
                part[row] = answers_of(kind, answered, "mean_embedding")
        found[str(size)] = compare(bench.rows, parts, reference)
    return {"reference": reference, "compared": found}


def _strange(bench: Bench) -> np.ndarray:
    """Gives the embeddings of the technical pictures, made once."""
    path = bench.output / "strange.npy"
    if not path.exists():
        pictures = strange_pictures(512, bench.config("binary", {}).data.max_pixels)
        np.save(path, embed_pictures(bench, pictures))
    return np.load(path)


QUESTIONS = {
    "fusions": lambda asked: ask_fusions(asked.bench, asked.draws, FUSIONS),
    "transformers": lambda asked: ask_fusions(
        asked.bench, dict.fromkeys(asked.draws, 1), {"tiles": BY_TILE, **TRANSFORMERS}
    ),
    "labels": lambda asked: ask_labels(asked.bench, asked.draws),
    "noise": lambda asked: ask_noise(asked.bench, NOISE_IMAGES, NOISE_DRAWS),
    "left_out": lambda asked: ask_left_out(asked.bench, NOISE_IMAGES, NOISE_DRAWS),
    "mirrored": lambda asked: ask_mirrored(asked.bench, asked.draws),
    "copies": lambda asked: ask_copies(asked.bench, asked.manifest),
    "anomaly": lambda asked: ask_anomaly(asked.bench, FEW_AND_MANY),
    "ood": lambda asked: ask_ood(asked.bench, FEW_AND_MANY, _strange(asked.bench)),
    "separability": lambda asked: ask_separability(asked.bench, FEW_AND_MANY),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--questions", default=",".join(QUESTIONS), help="by commas")
    parser.add_argument("--sizes", default=",".join(map(str, DRAWS)), help="images, by commas")
    parser.add_argument("--markdown", action="store_true", help="print tables")
    arguments = parser.parse_args()
    cache = Path("~/.cache/iqa_jax/compiled").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(cache))
    # Progress goes to stderr: stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr):
        rows = read_rows(arguments.manifest, recipe("numeric", {}).host.signature_folder)
        bench = Bench(rows, arguments.output.resolve(), {}, UPDATES)
        draws = {int(size): DRAWS[int(size)] for size in arguments.sizes.split(",")}
        asked, found = Asked(bench, arguments.manifest, draws), {}
        for name in arguments.questions.split(","):
            found[name] = QUESTIONS[name](asked)
            (bench.output / f"{name}.json").write_text(json.dumps(found[name]))
    if arguments.markdown:
        for name, one in found.items():
            for figure in MEANINGS if "compared" in one else ():
                table = format_comparison(one["compared"], one["reference"], figure)
                print(f"{name}\n\n{table}\n")
        return
    result = {
        "benchmark": "founding_questions",
        "images": {name: int(count) for name, count in rows.table["split"].value_counts().items()},
        "cuts": rows.cuts,
        "draws": draws,
        "updates": {size: UPDATES[size] for size in draws},
        **found,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
