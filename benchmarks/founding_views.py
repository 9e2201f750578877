"""The founding question of test-time augmentation: is the mean with the mirror image better?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from benchmarks.founding_bench import BY_TILE, Bench
from benchmarks.founding_figures import Answers, compare, scores_of
from benchmarks.founding_heads import answer_images
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.views import View
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.scorer import scorer_from_config


def embed_mirrored(
    bench: Bench, image_ids: Int[np.ndarray, " image"]
) -> Float[np.ndarray, "image tile dim"]:
    """Embeds the tiles of mirrored images, made once."""
    path = bench.output / "mirrored.npy"
    if not path.exists():
        config = bench.config("binary", {})
        source = build.source_from_config(config, build.manifest_from_config(config))
        how = {"threads": config.host.threads, "views": (View(flip_horizontal=True),)}
        bags = whole_bags(source, image_ids, FeatureTable(), **how)
        embedded = scorer_from_config(config).embed(initial_variables(config), bags)
        np.save(path, np.stack([embeddings for _, embeddings in embedded]))
    return np.load(path)


def ask_mirrored(bench: Bench, draws: Mapping[int, int]) -> dict[str, Any]:
    """Compares the tile classifier's answers with their mean over an image and its mirror image."""
    found, ids = {}, np.concatenate([bench.ids["val"], bench.ids["test"]])
    as_they_are = bench.tiles._replace(embeddings=bench.tiles.embeddings[ids])
    mirrored = bench.tiles._replace(embeddings=embed_mirrored(bench, ids))
    views = {"as they are": as_they_are, "mirrored": mirrored}
    count = len(bench.ids["val"])
    for size, number in draws.items():
        parts = []
        for seed in range(number):
            config, variables = bench.train("binary", BY_TILE, size, seed)
            scores = {}
            for name, tiles in views.items():
                answers = answer_images(config, variables, tiles, np.arange(len(ids)))
                scores[name] = scores_of("binary", answers["mean_score"])
            scores["mean of both"] = np.mean(list(scores.values()), axis=0)
            parts.append({name: Answers(one[:count], one[count:]) for name, one in scores.items()})
        found[str(size)] = compare(bench.rows, parts, "as they are")
    return {"reference": "as they are", "compared": found}
