"""Shows on drawn bags what each fusion is for, and prints one JSON object.

    python -m benchmarks.fusion_proofs

Every fusion trains with a linear head on bags drawn anew at every step, so nothing is memorised,
and is scored on bags of another key.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.metrics import roc_auc_score

from benchmarks.synthetic_bags import (
    Bags,
    adjacency_bags,
    adjacency_optimum,
    planted_bags,
    planted_mean_auc,
    poison_bags,
)
from iqa_jax.models.fusions import FUSIONS

TRAIN_BATCH, TEST_BAGS = 64, 2000
SQUARE = ((4, 4),)
MIXED = ((2, 8), (4, 4), (8, 2))
VIT = {"width": 32, "depth": 2, "heads": 4, "mlp_dim": 64, "dropout": 0.0, "position_cells": 4}



class Trained(NamedTuple):
    """Answers of a trained fusion on test bags."""

    scores: np.ndarray
    attention: np.ndarray


class _Classifier(nn.Module):
    fusion: nn.Module

    @nn.compact
    def __call__(self, bags: Bags):
        fused = self.fusion(
            bags.embeddings, bags.tile_mask, bags.tile_position, bags.grid_shape, True
        )
        return nn.Dense(1, kernel_init=nn.initializers.zeros)(fused.embedding)[:, 0], fused.attention


def train(
    fusion: nn.Module,
    draw: Callable[[jax.Array, int], Bags],
    test: Bags,
    *,
    steps: int,
    learning_rate: float = 1e-2,
    seed: int = 0,
) -> Trained:
    """Trains a fusion and a linear head on drawn bags and answers the test bags.

    Args:
      fusion: a module of `FUSIONS`.
      draw: `(key, batch) -> Bags`.
      test: bags to answer.
      steps: updates of AdamW, the rate warming up and then falling to 0.
      learning_rate: its peak.
      seed: of parameters and bags.
    """
    model, key = _Classifier(fusion), jax.random.key(seed)
    optimizer = optax.adamw(
        optax.warmup_cosine_decay_schedule(0, learning_rate, steps // 10, steps)
    )

    def loss_of(params, bags: Bags):
        logits, _ = model.apply(params, bags)
        return optax.sigmoid_binary_cross_entropy(logits, bags.label).mean()

    def update(carry, step):
        params, state = carry
        bags = draw(jax.random.fold_in(key, step), TRAIN_BATCH)
        updates, state = optimizer.update(jax.grad(loss_of)(params, bags), state, params)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def run(test: Bags):
        params = model.init(key, draw(key, 1))
        (params, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), jnp.arange(steps))
        return model.apply(params, test)

    return Trained(*map(np.asarray, run(test)))


def _auc(truth, scores) -> float:
    return round(float(roc_auc_score(np.ravel(truth), np.ravel(scores))), 4)


def _rank_auc(is_key: np.ndarray, attention: np.ndarray) -> float:
    """Gives the mean over bags of how often a key tile has more attention than another."""
    return round(
        float(np.mean([roc_auc_score(k, a) for k, a in zip(is_key, attention, strict=True)])), 4
    )


def planted_signal(
    fusions: tuple[str, ...], sizes: tuple[int, ...], *, steps: int, shift: float = 5.0
) -> dict:
    """One tile of a good bag is planted: who answers, and does attention find it?"""
    result = {}
    for tiles in sizes:
        draw = partial(planted_bags, tiles=tiles, shift=shift)
        test = draw(jax.random.key(1000), TEST_BAGS)
        good = np.asarray(test.label)
        result[f"{tiles} tiles"] = row = {"best_of_the_mean": round(planted_mean_auc(tiles, shift), 4)}
        for name in fusions:
            trained = train(FUSIONS[name](), draw, test, steps=steps)
            row[name] = {
                "auc": _auc(good, trained.scores),
                "attention_auc": _rank_auc(
                    np.asarray(test.is_key)[good], trained.attention[good]
                ),
            }
    return result
def adjacency(models: dict[str, nn.Module], grids, *, steps: int, shift: float = 4.0) -> dict:
    draw = partial(adjacency_bags, grids=grids, shift=shift)
    test = draw(jax.random.key(1000), TEST_BAGS)
    result = {"bayes_optimum": _auc(test.label, adjacency_optimum(test, grids=grids, shift=shift))}
    for name, fusion in models.items():
        result[name] = _auc(test.label, train(fusion, draw, test, steps=steps).scores)
    return result
