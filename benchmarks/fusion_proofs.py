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
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score

from benchmarks.synthetic_bags import (
    Bags,
    adjacency_bags,
    adjacency_optimum,
    planted_bags,
    planted_mean_auc,
    poison_bags,
)
from configs import default
from iqa_jax.run.build import fusion_from_config

TRAIN_BATCH, TEST_BAGS = 64, 2000
SQUARE = ((4, 4),)
MIXED = ((2, 8), (4, 4), (8, 2))
POOLS = ("mean_embedding", "max_embedding", "attention", "gated_attention")


class Trained(NamedTuple):
    """Answers of a trained fusion on test bags."""

    scores: Float[np.ndarray, " bag"]
    attention: Float[np.ndarray, "bag tile"]


def make_fusion(name: str, **changes) -> nn.Module:
    """Makes a fusion as the default config has it, but for changes."""
    config = default.get_config()
    config.model.fusion = name
    return fusion_from_config(config).clone(**changes)


tile_vit = partial(
    make_fusion, "tile_vit",
    width=32, depth=2, heads=4, mlp_dim=64, dropout=0.0, position_cells=4,
)  # fmt: skip


class _Classifier(nn.Module):
    fusion: nn.Module
    head_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, bags: Bags):
        fused = self.fusion(
            bags.embeddings, bags.tile_mask, bags.tile_position, bags.grid_shape, True
        )
        head = nn.Dense(1, kernel_init=self.head_init)
        return head(fused.embedding)[:, 0], fused.attention


def train(
    fusion: nn.Module,
    draw: Callable[[jax.Array, int], Bags],
    test: Bags,
    *,
    steps: int,
    learning_rate: float = 1e-2,
    head_init: nn.initializers.Initializer = nn.initializers.zeros,
) -> Trained:
    """Trains a fusion and a linear head on drawn bags and answers the test bags.

    Args:
        fusion: a module of `FUSIONS`.
        draw: `(key, batch) -> Bags`.
        test: bags to answer.
        steps: updates of AdamW, the rate warming up and then falling to 0.
        learning_rate: its peak.
        head_init: of the head. Zeros, because a head that starts with the wrong sign teaches
            attention to avoid the tile that decides, and then never sees it.
    """
    model, key = _Classifier(fusion, head_init), jax.random.key(0)
    schedule = optax.warmup_cosine_decay_schedule(0, learning_rate, steps // 10, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))

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


def _rank_auc(is_key: Bool[np.ndarray, "bag tile"], attention: Float[np.ndarray, "bag tile"]):
    """Gives the mean over bags of how often the one key tile has more attention than another."""
    keys, others = attention[is_key][:, None], attention[~is_key].reshape(len(attention), -1)
    return round(float(np.mean((keys > others) + (keys == others) / 2)), 4)


def planted_signal(
    fusions: tuple[str, ...], sizes: tuple[int, ...], *, steps: int, shift: float = 5.0
) -> dict:
    """One tile of a good bag is planted: who answers, and does attention find it?"""
    result = {}
    for tiles in sizes:
        draw = partial(planted_bags, tiles=tiles, shift=shift)
        test = draw(jax.random.key(1000), TEST_BAGS)
        good = np.asarray(test.label)
        best = round(planted_mean_auc(tiles, shift), 4)
        result[f"{tiles} tiles"] = row = {"best_of_the_mean": best}
        for name in fusions:
            trained = train(make_fusion(name), draw, test, steps=steps)
            found = _rank_auc(np.asarray(test.is_key)[good], trained.attention[good])
            row[name] = {"auc": _auc(good, trained.scores), "attention_auc": found}
    return result


def poison(fusions: dict[str, nn.Module], *, steps: int, tiles: int = 16) -> dict:
    """Poison sits in bad bags in training and in good ones in the test: who is fooled?

    A model that only counts evidence for a good bag cannot be: its test AUC stays above 0.5. None
    of ours is built so, and none should be: in a photograph, evidence for *bad* counts. The mean
    and the attentions weigh a tile with either sign and learn that poison means bad. The maximum
    does not see poison that is lower than every other tile, and sees it as well as the others do
    once it is higher.
    """
    result = {}
    for side, place in (("low", -10.0), ("high", 10.0)):
        draw = partial(poison_bags, tiles=tiles, poison=place)
        test = draw(jax.random.key(1000), TEST_BAGS, is_test=True)
        for name, fusion in fusions.items():
            trained = train(fusion, partial(draw, is_test=False), test, steps=steps)
            auc = _auc(test.label, trained.scores)
            result.setdefault(name, {})[side] = {"test_auc": auc, "passes": auc > 0.5}
    return result


def adjacency(
    fusions: dict[str, nn.Module], grids: tuple[tuple[int, int], ...], *, steps: int
) -> dict:
    """Good bags have four moved tiles in a block, bad ones anywhere: who sees the difference?"""
    truth = {"grids": grids, "shift": 4.0}
    draw = partial(adjacency_bags, **truth)
    test = draw(jax.random.key(1000), TEST_BAGS)
    result = {"bayes_optimum": _auc(test.label, adjacency_optimum(test, **truth))}
    for name, fusion in fusions.items():
        # Behind the transformer's last norm a head may start anywhere, and learns sooner.
        trained = train(
            fusion, draw, test, steps=steps, learning_rate=4e-3,
            head_init=nn.initializers.lecun_normal(),
        )  # fmt: skip
        result[name] = _auc(test.label, trained.scores)
    return result


def main() -> None:
    positional = {
        f"tile_vit {positions}": tile_vit(positions=positions)
        for positions in ("none", "learned_1d", "learned_2d", "hash_grid", "sincos_2d")
    }
    gated = {
        "gated_attention": make_fusion("gated_attention"),
        "gated_attention_positions": make_fusion("gated_attention_positions"),
    }
    pools = {name: make_fusion(name) for name in POOLS}
    proofs = {
        "planted_signal": planted_signal(POOLS, (8, 32, 128), steps=400),
        "poison": poison(pools | {"tile_vit none": tile_vit(positions="none")}, steps=400),
        "adjacency": {
            "4 x 4": adjacency(gated | positional, SQUARE, steps=3000),
            "2 x 8, 4 x 4, 8 x 2": adjacency(gated | positional, MIXED, steps=3000),
        },
    }
    print(json.dumps(proofs, indent=2))


if __name__ == "__main__":
    main()
