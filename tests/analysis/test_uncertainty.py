"""Entropies are those of the textbook; what agrees is exactly certain; padding has no say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from benchmarks.fusion_proofs import make_fusion
from iqa_jax.analysis.uncertainty import (
    entropy,
    expected_entropy,
    mutual_information,
    predictive_entropy,
    spread,
)
from iqa_jax.learning.steps import predict_step, sample_step
from iqa_jax.models.embedding_norm import EmbeddingNorm
from iqa_jax.models.heads import TwoLayerHead
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.run import build
from shallow import ShallowEncoder

DIM, FEATURES, PASSES = 12, 1, 5


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).dirichlet((0.3, 0.5, 1.0), (20, 7))


def test_entropies_are_those_of_scipy(samples):
    np.testing.assert_allclose(entropy(samples), scipy.stats.entropy(samples, axis=-1))
    np.testing.assert_allclose(
        predictive_entropy(samples), scipy.stats.entropy(samples.mean(axis=0), axis=-1)
    )
    np.testing.assert_allclose(
        expected_entropy(samples), scipy.stats.entropy(samples, axis=-1).mean(axis=0)
    )
    assert entropy(np.eye(3)).tolist() == [0, 0, 0]


def test_mutual_information_is_the_mean_divergence_from_the_mean(samples):
    divergence = scipy.stats.entropy(samples, samples.mean(axis=0)[None], axis=-1)
    np.testing.assert_allclose(mutual_information(samples), divergence.mean(axis=0))
    assert (mutual_information(samples) > 0).all()


def test_what_passes_agree_on_is_exactly_certain():
    # 1/3 and 0.1 have no exact mean over most numbers of samples.
    rng = np.random.default_rng(1)
    for count in (2, 3, 7, 30):
        one = np.concatenate([[[0.1, 0.9], [1 / 3, 2 / 3]], rng.dirichlet((1, 1), 50)])
        same = np.repeat(one[None], count, axis=0).astype(np.float32)
        assert (mutual_information(same) == 0).all()
        assert (spread(same[..., 0]) == 0).all()
        # Nearly equal ones differ by rounding, which must not fall below 0.
        nearly = same * (1 + rng.normal(0, 1e-8, (count, 1, 1)))
        assert (mutual_information(nearly) >= 0).all()


def test_spread_is_the_standard_deviation(samples):
    np.testing.assert_allclose(spread(samples[..., 0]), samples[..., 0].std(axis=0))


def make_sampler(fusion: str, dropout: float, is_per_tile: bool, task):
    model = QualityModel(
        encoder=ShallowEncoder(),
        fusion=make_fusion(fusion, **({"width": 8, "heads": 2, "mlp_dim": 8, "depth": 1,
                                       "dropout": dropout} if fusion == "tile_vit" else {})),
        head=TwoLayerHead(8, outputs=2, dropout=dropout, dtype=np.float32, begins_at_zero=False),
        embedding_norm=EmbeddingNorm(),
        tiles_per_chunk=0,
        set_scales=None,
    )  # fmt: skip
    initialise = jax.jit(lambda bags: model.init(jax.random.key(0), bags, method="answer"))
    variables = dict(initialise(make_bags(1, 1)))
    # Statistics that no batch of these tests has: a sample must go by them, as prediction does.
    variables["batch_stats"] = {
        "embedding_norm": {
            "mean": jnp.full(DIM, 2.0),
            "var": jnp.full(DIM, 4.0),
        }
    }
    arguments = {"model": model, "task": task, "is_per_tile": is_per_tile}
    sample = jax.jit(lambda bags, keys: sample_step(variables, bags, keys, **arguments))
    plain = jax.jit(lambda bags: predict_step(variables, bags, model=model, task=task))
    return sample, plain


def make_bags(bags: int, tiles: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    positions = np.stack([np.zeros(tiles), np.arange(tiles)], axis=1).astype(np.int32)
    return {
        "embeddings": rng.normal(0, 3, (bags, tiles, DIM)).astype(np.float32),
        "features": rng.normal(size=(bags, tiles, FEATURES)).astype(np.float32),
        "tile_mask": np.ones((bags, tiles), bool),
        "tile_position": np.tile(positions, (bags, 1, 1)),
        "grid_shape": np.full((bags, 2), (1, tiles), np.int32),
    }


def pad(bags, examples: int, tiles: int):
    """Adds masked examples and tiles of noise behind the real ones."""
    rng = np.random.default_rng(9)

    def longer(name, value):
        room = [(0, examples)] + ([(0, tiles)] if name != "grid_shape" else [])
        padded = np.pad(value, room + [(0, 0)] * (value.ndim - len(room)))
        if name in ("embeddings", "features"):
            is_new = ~np.pad(np.ones_like(value, bool), room + [(0, 0)])
            padded[is_new] = rng.normal(0, 50, is_new.sum())
        return padded

    return {name: longer(name, value) for name, value in bags.items()}


@pytest.fixture
def task(tiny_config):
    return build.task_from_config(tiny_config)


@pytest.mark.parametrize(
    ("fusion", "is_per_tile"),
    [("mean_embedding", True), ("mean_embedding", False), ("tile_vit", False)],
)
def test_company_and_padding_change_no_sample(task, fusion, is_per_tile):
    sample, _ = make_sampler(fusion, 0.5, is_per_tile, task)
    bags, keys = make_bags(3, 3), jax.random.split(jax.random.key(7), PASSES)
    drawn = np.asarray(sample(bags, keys))
    assert drawn.shape == ((PASSES, 3, 3, 2) if is_per_tile else (PASSES, 3, 2))
    padded = np.asarray(sample(pad(bags, 2, 4), keys))
    real = padded[:, :3, :3] if is_per_tile else padded[:, :3]
    np.testing.assert_allclose(real, drawn, atol=1e-6)
    moved = np.asarray(sample({name: value[[1, 1, 0]] for name, value in bags.items()}, keys))
    np.testing.assert_allclose(moved, drawn[:, [1, 1, 0]], atol=1e-6)
    # The same keys give the same numbers, other keys others; samples differ from each other.
    np.testing.assert_array_equal(np.asarray(sample(bags, keys)), drawn)
    others = sample(bags, jax.random.split(jax.random.key(8), PASSES))
    assert np.abs(np.asarray(others) - drawn).max() > 0.01
    assert (mutual_information(drawn) > 1e-4).any()


@pytest.mark.parametrize("is_per_tile", [True, False])
def test_without_dropout_every_pass_is_the_answer(task, is_per_tile):
    sample, plain = make_sampler("tile_vit", 0.0, is_per_tile, task)
    bags = make_bags(4, 3)
    drawn = np.asarray(sample(bags, jax.random.split(jax.random.key(0), PASSES)))
    assert (mutual_information(drawn) == 0).all()
    assert (spread(drawn[..., 1]) == 0).all()
    answers = plain(bags)["tiles" if is_per_tile else "fused"]
    np.testing.assert_allclose(drawn[0], np.asarray(answers), atol=1e-6)
    assert np.ptp(np.asarray(answers)[..., 1]) > 0.01
