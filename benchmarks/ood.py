"""Tells pictures that are no photographs of a scene from unseen scenes; prints one JSON object.

    python -m benchmarks.ood --workdir=runs/quickstart [--split=test,holdout]

The run must have been trained on the sample photos. Out of domain are crops of the technical
pictures that scikit-image ships: documents, medical and microscope images, deep sky, drawings. In
domain are the images of splits whose scenes training never saw, degraded ones too.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files import images
from input_pipeline.tiles.sources import Picture, TileSource, pictures_of
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import confidence_settings_from_config, read_confidence
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.scoring.scorer import scorer_from_config

# Kind -> files of skimage/data.
PICTURES = {
    "document": ("page.png", "text.png"),
    "retina": ("retina.jpg", "microaneurysms.png"),
    "microscope": ("cell.png", "ihc.png"),
    "sky": ("hubble_deep_field.jpg", "moon.png"),
    "drawing": ("logo.png", "horse.png", "phantom.png", "chessboard_RGB.png"),
}
CROPS = 12


def make_crops(photo: np.ndarray, rng: np.random.Generator, side: int) -> list[np.ndarray]:
    """Cuts crops of the size that the sample photos have, as far as the picture has it."""
    height, width = (min(length, side) for length in photo.shape[:2])
    last = photo.shape[0] - height, photo.shape[1] - width
    # A picture no larger than a crop has one.
    corners = {tuple(int(rng.integers(end, endpoint=True)) for end in last) for _ in range(CROPS)}
    return [
        np.ascontiguousarray(photo[top : top + height, left : left + width])
        for top, left in sorted(corners)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--split", default="test,holdout", help="of unseen scenes, by commas")
    arguments = parser.parse_args()

    workdir = Workdir(arguments.workdir)
    config = workdir.config()
    variables, step = variables_from_config(workdir, config)
    confidence = read_confidence(workdir, step, confidence_settings_from_config(config))
    if confidence is None or confidence.domain is None:
        raise SystemExit(f"{workdir.folder} has no domain fitted: run --mode=evaluate first.")
    features, scorer = workdir.features(), scorer_from_config(config)
    if features.names:
        raise SystemExit("the run has data.features, which these pictures do not come with.")
    model = build.model_from_config(config)

    def answer(pictures: list[Picture]) -> list[Answered]:
        tiling, limit = build.tiling_from_config(config), config.data.max_pixels
        source = TileSource(pictures, tiling, max_pixels=limit)
        bags = whole_bags(source, range(len(source)), features, threads=config.host.threads)
        return list(scorer.score(variables, bags))

    def measure(answers: list[Answered]) -> dict[str, np.ndarray]:
        embeddings = np.array([answer.embedding for answer in answers])
        logits = model.apply(variables, embeddings, method=lambda module, e: module.head(e))
        return {
            "mahalanobis": confidence.domain.mahalanobis(embeddings),
            "nearest": confidence.domain.nearest(embeddings),
            "max_softmax": max_softmax(jax.nn.softmax(logits)),
            "energy": energy(np.asarray(logits)),
        }

    manifest = build.recorded_manifest_from_config(config, workdir.read_json("manifest.json"))
    pictures = pictures_of(manifest)
    splits = arguments.split.split(",")
    rows = manifest.images[manifest.images["split"].isin(splits)]
    known = measure(answer([pictures[row] for row in rows.index]))

    rng = np.random.default_rng(0)
    (folder,) = importlib.util.find_spec("skimage").submodule_search_locations
    crops, kinds = [], []
    for kind, files in PICTURES.items():
        for name in files:
            photo = images.load(Path(folder) / "data" / name, max_pixels=config.data.max_pixels)
            found = make_crops(photo, rng, side=256)
            crops += found
            kinds += [kind] * len(found)
    strange, kinds = measure(answer(crops)), np.array(kinds)

    def auroc(score: str, which: np.ndarray) -> float:
        new = strange[score][which]
        is_new = np.repeat([0, 1], [len(known[score]), len(new)])
        return float(roc_auc_score(is_new, np.concatenate([known[score], new])))

    every = np.ones(len(crops), bool)
    column = config.uncertainty.ood
    limit = np.inf if confidence.ood_limit is None else confidence.ood_limit
    print(
        json.dumps(
            {
                "step": step,
                "in_domain": {"splits": splits, "scenes": rows["group"].nunique(), "n": len(rows)},
                "out_of_domain": {kind: int((kinds == kind).sum()) for kind in PICTURES},
                "auroc": {
                    score: {"all": auroc(score, every)}
                    | {kind: auroc(score, kinds == kind) for kind in PICTURES}
                    for score in known
                },
                "column_ood": {
                    "distance": column,
                    "flagged_in_domain": float((known[column] > limit).mean()),
                    "flagged_out_of_domain": float((strange[column] > limit).mean()),
                },
            }
        )
    )


if __name__ == "__main__":
    main()


def max_softmax(probabilities: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Gives 1 − the highest probability.

    Source:
        Hendrycks, Gimpel 2017.
    """
    return 1 - np.asarray(probabilities).max(axis=1)


def energy(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Gives −log Σ exp(logit), of a head trained with cross-entropy.

    Source:
        Liu et al. 2020, equation 4 at temperature 1.
    """
    return -logsumexp(logits, axis=1)
