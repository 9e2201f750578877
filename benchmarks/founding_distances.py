"""Founding questions about embeddings: what distances between them say of quality and of domain."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks.founding_bench import Bench
from benchmarks.founding_heads import Tiles, answer_images, sample_images
from benchmarks.founding_rows import sign
from benchmarks.ood import PICTURES, make_crops, max_softmax
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.checks.look_alikes import find_alike
from input_pipeline.files import images
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.detectors import DETECTORS, fit_detector
from iqa_jax.analysis.ood import fit_domain
from iqa_jax.analysis.projection import neighbourhood_purity, project
from iqa_jax.analysis.uncertainty import mutual_information, predictive_entropy
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.scorer import scorer_from_config

# Good tiles that a detector is fitted on, at most, and those of them that it remembers.
TILES, MEMORY = 4000, 1000
SAMPLES = 20
SUPCON = {"loss.name": "supcon", "model.dropout": 0.2, "batch_size": 128}
# Bits in which the hashes of near copies differ, at most.
BITS = (2, 6, 12)


def ask_anomaly(bench: Bench, sizes: Sequence[int]) -> dict[str, Any]:
    """Calls bad what is far from tiles of good training images, by number of images."""
    mos, found = bench.rows.table["mos"].to_numpy(), {}
    test, grades = bench.ids["test"], bench.rows.grades(mos)
    is_outer = grades[test] != 1
    for size in sizes:
        train = bench.draw(size, 0)
        good = np.concatenate(bench.tiles.embeddings[train[grades[train] == 2]])
        chosen = np.random.default_rng(0).permutation(len(good))[:TILES]
        figures: dict[str, Any] = {"tiles": len(chosen)}
        for kind in DETECTORS:
            detector = fit_detector(kind, good[chosen], memory=MEMORY, seed=0)
            flat = detector(np.concatenate(bench.tiles.embeddings[test]))
            distance = flat.reshape(len(test), -1)
            for name, value in (("mean", distance.mean(axis=1)), ("worst", distance.max(axis=1))):
                figures[f"{kind}, {name} tile"] = {
                    "auroc": _auroc(grades[test][is_outer] == 0, value[is_outer]),
                    "srcc": round(float(spearmanr(-value, mos[test]).statistic), 4),
                }
        found[str(size)] = figures
        print(f"anomaly, {size} images: {figures}", flush=True)
    return found


def _auroc(is_positive: np.ndarray, scores: np.ndarray) -> float:
    return round(float(roc_auc_score(is_positive, scores)), 4)


def strange_pictures(side: int, max_pixels: int) -> list[np.ndarray]:
    """Cuts crops out of the technical pictures that scikit-image ships."""
    (folder,) = importlib.util.find_spec("skimage").submodule_search_locations
    rng, crops = np.random.default_rng(0), []
    for files in PICTURES.values():
        for name in files:
            photo = images.load(Path(folder) / "data" / name, max_pixels=max_pixels)
            crops += make_crops(photo, rng, side=side)
    return crops


def embed_pictures(bench: Bench, pictures: Sequence[np.ndarray]) -> Float[np.ndarray, "image dim"]:
    """Gives the mean embedding of each picture's tiles."""
    config = bench.config("binary", {})
    tiling, limit = build.tiling_from_config(config), config.data.max_pixels
    source = TileSource(list(pictures), tiling, max_pixels=limit)
    bags = whole_bags(source, range(len(source)), FeatureTable(), threads=config.host.threads)
    embedded = scorer_from_config(config).embed(initial_variables(config), bags)
    return np.stack([embeddings.mean(axis=0) for _, embeddings in embedded])


def ask_ood(bench: Bench, sizes: Sequence[int], strange: np.ndarray) -> dict[str, Any]:
    """Tells technical pictures from photographs of unseen scenes, by number of training images.

    Args:
        bench: of the photographs.
        sizes: numbers of training images.
        strange: [image, dim] embeddings of the technical pictures.
    """
    found: dict[str, Any] = {}
    mean = bench.tiles.embeddings.mean(axis=1)
    known = mean[bench.ids["test"]]
    is_new = np.repeat([False, True], [len(known), len(strange)])
    both = np.concatenate([known, strange])
    # A mean embedding answers as the bag that it is the mean of.
    alone = Tiles(both[:, None], np.zeros((1, 2), np.int32), np.ones(2, np.int32))
    for size in sizes:
        domain = fit_domain(mean[bench.draw(size, 0)])
        config, variables = bench.train("binary", {}, size, 0)
        everything = np.arange(len(both))
        answers = answer_images(config, variables, alone, everything)["mean_embedding"]
        samples = sample_images(config, variables, alone, everything, SAMPLES)
        scores = {
            "distance to the nearest": domain.nearest(both),
            "Mahalanobis distance": domain.mahalanobis(both),
            "1 - largest probability": max_softmax(answers),
            "MC-dropout: entropy": predictive_entropy(samples),
            "MC-dropout: mutual information": mutual_information(samples),
        }
        found[str(size)] = {name: _auroc(is_new, score) for name, score in scores.items()}
        print(f"ood, {size} images: {found[str(size)]}", flush=True)
    return {"strange": len(strange), "photographs": len(known), "auroc": found}


def ask_separability(bench: Bench, sizes: Sequence[int]) -> dict[str, Any]:
    """Asks how often neighbours among test images share the outer third, and on a t-SNE plane."""
    grades = bench.rows.grades(bench.rows.table["mos"].to_numpy())
    test = bench.ids["test"]
    is_outer = grades[test] != 1
    outer = {"val": bench.ids["val"], "test": test[is_outer]}
    spaces = {"frozen": bench.tiles.embeddings.mean(axis=1)[outer["test"]]}
    for size in sizes:
        answered = bench.run("supcon", "binary", SUPCON, size, 0, asked=outer)
        spaces[f"supcon, {size} images"] = answered["test embedding"]
    labels, found = grades[outer["test"]], {}
    for name, space in spaces.items():
        purity, chance = neighbourhood_purity(space, labels)
        plane, _ = neighbourhood_purity(project(space, seed=0).tsne, labels)
        found[name] = {"purity": round(purity, 4), "on t-SNE plane": round(plane, 4)}
        print(f"separability, {name}: {found[name]}", flush=True)
    return {"images": len(labels), "chance": round(chance, 4), "neighbours": found}


def ask_copies(bench: Bench, path: Path) -> dict[str, Any]:
    """Asks how far the scores of near copies differ, over all images of the manifest.

    Args:
        bench: says where signatures are kept, and where grades begin.
        path: of the manifest.
    """
    manifest = read_manifest(path, LabelSpec("numeric", "mos", minimum=0.0, maximum=1.0))
    signatures = sign(manifest, bench.config("numeric", {}).host.signature_folder)
    parts = list(find_alike(signatures, signatures))
    one, other, bits = (np.concatenate([part[k] for part in parts]) for k in range(3))
    mos = manifest.images["label"].to_numpy(np.float64)
    subset = manifest.images["name"].str.extract(r"(ss\d\d)", expand=False).fillna("all").to_numpy()
    pairs = pd.DataFrame(
        {
            "bits": bits,
            "difference": mos[one] - mos[other],
            "apart": np.abs(bench.rows.grades(mos[one]) - bench.rows.grades(mos[other])),
            "subset": np.where(subset[one] == subset[other], subset[one], "two"),
        }
    )
    found: dict[str, Any] = {}
    for most in BITS:
        near = pairs[pairs["bits"] <= most]
        for name, chosen in [("all", near), *near.groupby("subset")]:
            error = np.sqrt((chosen["difference"] ** 2).mean() / 2)
            spread = mos.std() if name not in set(subset) else mos[subset == name].std()
            found[f"{most} bits, {name}"] = {
                "pairs": len(chosen),
                "error_of_a_score": round(float(error), 4),
                "spread_of_scores": round(float(spread), 4),
                "another_third": round(float((chosen["apart"] > 0).mean()), 4),
                "opposite_third": round(float((chosen["apart"] == 2).mean()), 4),
            }
    return found
