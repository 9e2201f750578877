"""Whether a scorer's answers fall as clean photographs get worse; prints one JSON object.

    python -m benchmarks.degradations [--workdir=DIR_OR_FILE] [--images=FOLDER]

Every kind of distortion at levels 1, 3 and 5 on clean photographs: those that installed packages
ship, or the pictures of a folder. By kind: the share of pairs of levels of one photograph, the
photograph itself being level 0, in which the worse one has the lower score; and the mean score at
every level. Kinds that `input_pipeline.degraded_photos` leaves out stand apart: a scorer that has
learnt from such a set has not seen them.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence

import numpy as np

import iqa_jax
from input_pipeline.degraded_photos import SIDE, WORST
from input_pipeline.distortions.catalogue import DISTORTIONS, distort
from input_pipeline.files.image_files import list_images
from input_pipeline.files.images import load
from input_pipeline.files.reduction import Reduction
from input_pipeline.sample_photos import scenes

LEVELS = (1, 3, 5)


def pair_accuracy(scores: Sequence[Sequence[float]]) -> float:
    """Gives the share of pairs of levels in which the worse one scores lower.

    Args:
        scores: of each photograph, its scores from the best level to the worst.
    """
    pairs = [better > worse for own in scores for better, worse in itertools.combinations(own, 2)]
    return float(np.mean(pairs))


def figures_of(scores: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Gives the figures of every kind.

    Args:
        scores: kind -> [photograph, level], level 0 first.
    """
    return {
        kind: {
            "pair_accuracy": round(pair_accuracy(found.tolist()), 3),
            "mean_scores": [round(float(score), 1) for score in found.mean(axis=0)],
        }
        for kind, found in scores.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="", type=os.path.expanduser)
    parser.add_argument("--images", type=os.path.expanduser, help="folder of clean photographs")
    parser.add_argument("--most", type=int, default=20, help="photographs of it, at most")
    arguments = parser.parse_args()
    if arguments.images:
        paths = itertools.islice(list_images(arguments.images), arguments.most)
        photos = [load(path) for path in paths]
    else:
        photos = list(scenes().values())
    scorer = iqa_jax.load_scorer(arguments.workdir)
    reduction, scores = Reduction(reference_side=SIDE), {kind: [] for kind in DISTORTIONS}
    for number, photo in enumerate(map(reduction.apply, photos)):
        rng = np.random.default_rng(number)
        made = [distort(photo, kind, level, rng) for kind in DISTORTIONS for level in LEVELS]
        found = scorer.score([photo, *made])["score"].to_numpy(float)
        levels = found[1:].reshape(len(DISTORTIONS), len(LEVELS))
        for kind, own in zip(DISTORTIONS, levels, strict=True):
            scores[kind].append([found[0], *own])
        print(f"{number + 1}/{len(photos)} photographs", file=sys.stderr, flush=True)
    found = figures_of({kind: np.array(own) for kind, own in scores.items()})
    result = {"photographs": len(photos), "levels": [0, *LEVELS]}
    for name, kinds in (
        ("kinds_of_degraded_photos", [kind for kind in DISTORTIONS if kind in WORST]),
        ("other_kinds", [kind for kind in DISTORTIONS if kind not in WORST]),
    ):
        own = {kind: found[kind] for kind in kinds}
        mean = round(float(np.mean([one["pair_accuracy"] for one in own.values()])), 3)
        result[name] = {"pair_accuracy": mean} | own
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
