"""Measures whether the maps of a run find planted degradations, and prints one JSON object.

    python -m benchmarks.localisation --workdir=runs/quickstart [--images=24]

The run must have binary labels and a manifest with masks, as the sample photos have. On each split
it was not trained on:

localisation: pixel AUC and pointing game on the images of the manifest that have a mask.
deletion, insertion: a region of photographs labelled good is degraded here, so that the undegraded
  pixels are known. Areas under the curves of P(bad), over images and distortions: deletion should
  be low, insertion high; `random` replaces squares in random order. `better_than_random` is the
  share of images on which a map beats it. Images that the degradation did not make worse in the
  scorer's eyes have nothing to be found and are left out, and counted.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from benchmarks.deletion import replacement_curve
from input_pipeline.distortions.catalogue import LEVELS, distort_region
from input_pipeline.files.images import load
from input_pipeline.sample_photos import FIRST_REGION_LEVEL, LAST_MARGINAL_LEVEL, draw_region
from iqa_jax.evaluation.localise import localise
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.explainer import explainer_from_config
from iqa_jax.scoring.image_explainer import ImageExplainer, image_explainer_from_config
from iqa_jax.scoring.quality_scorer import QualityScorer, quality_scorer_from_config
from iqa_jax.scoring.trained_run import TrainedRun

STEPS = 10
# The encoder halves a tile five times: the side of a cell of the last map, in pixels.
CELL = 32


def judge_image(
    explainer: ImageExplainer,
    scorer: QualityScorer,
    photo: UInt8[np.ndarray, "height width 3"],
    rng: np.random.Generator,
) -> dict[str, dict[str, float]] | None:
    """Plants one degradation and gives the areas of every map; None if the answer is no worse."""
    distortion = str(rng.choice(list(LAST_MARGINAL_LEVEL)))
    first = max(FIRST_REGION_LEVEL, LAST_MARGINAL_LEVEL[distortion] + 1)
    level = int(rng.integers(first, LEVELS[-1], endpoint=True))
    region = draw_region(*photo.shape[:2], rng)
    degraded = distort_region(photo, distortion, level, region, rng)

    def badness(images) -> Float[np.ndarray, " n"]:
        return 1 - scorer.score(list(images))["score"].to_numpy(np.float64)

    before, after = badness([photo, degraded])
    if after <= before:
        return None
    maps = explainer.explain(degraded).maps.relevance()
    maps["random"] = np.zeros(photo.shape[:2])
    areas = {}
    for name, relevance in maps.items():
        draw = partial(
            replacement_curve,
            relevance=relevance, answer=badness, steps=STEPS, side=CELL, rng=rng,
        )  # fmt: skip
        deletion, insertion = draw(degraded, photo), draw(photo, degraded)
        areas[name] = {"deletion": deletion.area, "insertion": insertion.area}
    return areas


def summarise_curves(areas: list[dict[str, dict[str, float]]]) -> dict[str, dict]:
    """Averages the areas of each map, beside those of the random order."""
    summary = {}
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        values = {name: np.array([one[name][curve] for one in areas]) for name in areas[0]}
        summary[curve] = {
            name: {
                "area": float(of_map.mean()),
                "minus_random": float((of_map - values["random"]).mean()),
                "better_than_random": float((sign * (of_map - values["random"]) > 0).mean()),
            }
            for name, of_map in values.items()
            if name != "random"
        } | {"random": {"area": float(values["random"].mean())}}
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=24, help="good photographs per split")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    workdir = Workdir(arguments.workdir)
    run = TrainedRun.open(workdir)
    config = workdir.config()
    if config.data.label_kind != "binary":
        parser.exit(1, "The run must have binary labels.\n")
    manifest = build.recorded_manifest_from_config(config, workdir.read_json("manifest.json"))
    source = build.source_from_config(config, manifest)
    explainer, scorer = (
        image_explainer_from_config(config, run),
        quality_scorer_from_config(config, run),
    )
    result = {"step": run.step, "fusion": config.evaluation.fusion}
    for split in manifest.splits:
        if split in ("train", "val"):
            continue
        found = localise(
            explainer_from_config(config),
            run.variables,
            manifest,
            source,
            run.features,
            split,
            max_pixels=config.data.max_pixels,
            threads=config.host.threads,
        )
        images = manifest.split(split)
        good = images["path"][images["label"] == 1].to_numpy()
        rng = np.random.default_rng(arguments.seed)
        chosen = rng.choice(good, min(arguments.images, len(good)), replace=False)
        areas = []
        for number, path in enumerate(chosen, start=1):
            areas.append(judge_image(explainer, scorer, load(path), rng))
            print(f"{split}: {number} of {len(chosen)} photographs", file=sys.stderr, flush=True)
        kept = [one for one in areas if one is not None]
        result[split] = {
            "localisation": found,
            "photographs": len(kept),
            "no_worse": len(areas) - len(kept),
            **(summarise_curves(kept) if kept else {}),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
