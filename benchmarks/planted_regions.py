"""Measures whether a run ranks the degraded tiles of an image first, and prints one JSON object.

    python main.py --config=configs/planted_regions.py --workdir=runs/regions
    python -m benchmarks.planted_regions --workdir=runs/regions

The run has seen labels of whole images only. On every split but `train`, in each image of which a
region is degraded (column `region` of the manifest), tiles that are degraded by half or more are
set against tiles that are not touched: the share of pairs in which the degraded one has the lower
score, or more of the attention, averaged over images. 0.5 is chance.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from input_pipeline.tables.regions import find_regions, load_region
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.fitted.probe import variables_from_config


def judge_tiles(
    origins: np.ndarray, region: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Says which tiles are degraded by half or more or untouched, and of these which is degraded.

    Returns:
        [tile] and [judged]; None where nothing is to rank.
    """
    degraded = np.array(
        [region[top : top + size, left : left + size].mean() for top, left in origins]
    )
    is_judged = (degraded >= 0.5) | (degraded == 0)
    truth = degraded[is_judged] >= 0.5
    return None if truth.all() or not truth.any() else (is_judged, truth)


def rank_tiles(answer, region: np.ndarray, size: int, kind: str) -> dict[str, float] | None:
    """Gives the AUC of one image's tile scores and attention; None where nothing is to rank."""
    judged = judge_tiles(answer.layout.grid.origins, region, size)
    if judged is None:
        return None
    is_judged, truth = judged
    scores = KINDS[kind]().score_of(answer.tile_values)
    badness = {"tile_score": -scores, "attention": answer.attention}
    return {name: roc_auc_score(truth, values[is_judged]) for name, values in badness.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    arguments = parser.parse_args()
    workdir = Workdir(arguments.workdir)
    config = workdir.config()
    manifest = build.recorded_manifest_from_config(config, workdir.read_json("manifest.json"))
    source = build.source_from_config(config, manifest)
    variables, step = variables_from_config(workdir, config)
    embeddings = embeddings_from_config(config, variables, source) if config.bags.cached else None
    evaluator = evaluator_from_config(config, manifest, source, workdir.features(), embeddings)
    paths, result = find_regions(manifest), {"step": step}
    for split in manifest.splits:
        if split == "train":
            continue
        found = []
        for answer in evaluator(variables, split).answers:
            if answer.error or answer.image_id not in paths:
                continue
            region = load_region(
                paths[answer.image_id],
                answer.layout.height,
                answer.layout.width,
                max_pixels=config.data.max_pixels,
            )
            ranked = rank_tiles(answer, region, config.tiles.size, config.data.label_kind)
            found += [ranked] if ranked else []
        result[split] = {"images": len(found)} | {
            name: round(float(np.mean([one[name] for one in found])), 4)
            for name in (found[0] if found else ())
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
