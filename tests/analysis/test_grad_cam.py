"""Grad-CAM against numbers worked out by hand, and its two steps against one."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.fusion_proofs import make_fusion
from iqa_jax.analysis.grad_cam import embedding_gradient, evidence, grad_cam
from iqa_jax.models.encoders.encoder import POOLINGS, pool_last_again
from iqa_jax.models.quality_model import QualityModel

BAD = jnp.array([1.0, 0.0])


class LinearHead(nn.Module):
    @nn.compact
    def __call__(self, embedding, train=False):
        return nn.Dense(2, name="output")(embedding)


def make_model(fusion: str) -> QualityModel:
    return QualityModel(
        encoder=nn.Dense(1),
        fusion=make_fusion(fusion),
        head=LinearHead(),
        embedding_norm=None,
        tiles_per_chunk=0,
        set_scales=None,
    )


def make_bag(embeddings, tile_mask=None):
    count = len(embeddings)
    mask = np.ones(count, bool) if tile_mask is None else np.array(tile_mask)
    bag = {
        "embeddings": embeddings,
        "features": np.zeros((count, 0), np.float32),
        "tile_mask": mask,
        "tile_position": np.stack([np.zeros(count), np.arange(count)], 1).astype(np.int32),
        "grid_shape": np.array([1, count], np.int32),
    }
    return {name: jnp.asarray(value)[None] for name, value in bag.items()}


def differentiate(model, variables, bag, is_alone):
    # Compiled whole: op by op takes many times as long.
    step = partial(embedding_gradient, model=model, predict=jax.nn.softmax, is_alone=is_alone)
    return jax.jit(step)(variables, bag, BAD)[0]


def initialise(model, bag):
    return jax.jit(partial(model.init, method="answer"))(jax.random.key(0), bag)


def linear_variables(kernel):
    return {"params": {"head": {"output": {"kernel": jnp.array(kernel), "bias": jnp.zeros(2)}}}}


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_linear_model_by_hand(is_alone):
    # Two tiles, maps of 1x2 cells and two channels. bad = 3 a, good = a + 4 b: the evidence of bad
    # is 2 a - 4 b, of means over two cells, and for the bag over two tiles as well.
    maps = jnp.array([[[[4.0, 0.0], [4.0, 3.0]]], [[[0.0, 1.0], [1.0, 0.0]]]])
    model, variables = make_model("mean_embedding"), linear_variables([[3.0, 1.0], [0.0, 4.0]])
    embeddings = maps.mean(axis=(1, 2))
    gradient = differentiate(model, variables, make_bag(embeddings), is_alone)
    share = 1.0 if is_alone else 0.5
    np.testing.assert_allclose(gradient, [[2 * share, -4 * share]] * 2, rtol=1e-5)
    found = grad_cam(maps, embeddings, gradient, pooling="mean")
    # 2·4/2 = 4; (2·4 - 4·3)/2 < 0; -4·1/2 < 0; 2·1/2 = 1.
    np.testing.assert_allclose(found, share * np.array([[[4.0, 0.0]], [[0.0, 1.0]]]), rtol=1e-5)


def test_nothing_where_the_gradient_is_nothing():
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 1, (3, 2, 2, 4)).astype(np.float32)
    embeddings = maps.mean(axis=(1, 2))
    kernel = rng.normal(size=(4, 2))
    kernel[2:] = 0  # The answer does not look at the last two channels.
    model = make_model("mean_embedding")
    gradient = differentiate(model, linear_variables(kernel), make_bag(embeddings), False)
    relevance = partial(grad_cam, embedding=jnp.array(embeddings), pooling="mean")
    found = relevance(jnp.array(maps), gradient=gradient)
    maps[..., 2:] = rng.uniform(0, 9, maps[..., 2:].shape)
    np.testing.assert_allclose(found, relevance(jnp.array(maps), gradient=gradient))
    assert not np.any(relevance(jnp.array(maps), gradient=0 * gradient))


@pytest.mark.parametrize("is_alone", [True, False])
@pytest.mark.parametrize("fusion", ["mean_embedding", "gated_attention", "max_embedding"])
def test_padding_gets_nothing_and_changes_nothing(fusion, is_alone):
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(5, 6)).astype(np.float32)
    model = make_model(fusion)
    variables = initialise(model, make_bag(embeddings))
    mask = [True, True, True, False, False]
    padded = differentiate(model, variables, make_bag(embeddings, mask), is_alone)
    assert not np.any(padded[3:])
    assert np.abs(padded[:3]).max() > 1e-3
    alone = differentiate(model, variables, make_bag(embeddings[:3]), is_alone)
    np.testing.assert_allclose(padded[:3], alone, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_two_steps_are_one(pooling):
    rng = np.random.default_rng(2)
    early = jnp.array(rng.uniform(0, 1, (3, 4, 4, 5)).astype(np.float32))
    last = jnp.array(rng.uniform(0, 1, (3, 2, 2, 6)).astype(np.float32))
    pool = POOLINGS[pooling]
    embeddings = pool([early, last])
    np.testing.assert_allclose(pool_last_again(embeddings, last, pooling), embeddings, rtol=1e-6)
    model = make_model("gated_attention")
    bag = make_bag(embeddings)
    variables = initialise(model, bag)

    def logit_difference(last):
        answer = model.apply(
            variables, {**bag, "embeddings": pool([early, last])[None]}, method="answer"
        )
        return answer.logits[0, 0] - answer.logits[0, 1]

    weights = jax.jit(jax.grad(logit_difference))(last).mean(axis=(1, 2), keepdims=True)
    whole = np.maximum((weights * last).sum(axis=-1), 0)
    assert 0 < (whole > 0).mean()
    gradient = differentiate(model, variables, bag, False)
    steps = grad_cam(last, embeddings, gradient, pooling=pooling)
    np.testing.assert_allclose(steps, whole, rtol=1e-4, atol=1e-7)


def test_evidence_is_the_difference_of_logits():
    logits = jnp.array([[2.0, -1.0], [-3.0, 4.0], [30.0, -30.0]])
    expected = logits[:, 0] - logits[:, 1]
    found = evidence(jax.nn.softmax(logits), BAD)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # The probability of good has no digits left beside 1, its gradient has.
    slope = jax.grad(lambda z: evidence(jax.nn.softmax(z), BAD).sum())(logits)
    np.testing.assert_allclose(slope, [[1, -1]] * 3, rtol=1e-5)
    # A score of 3 with higher better: less of it is what is explained.
    np.testing.assert_array_equal(evidence(jnp.array([[3.0]]), None), [-3.0])


def test_evidence_of_grades_rises_as_the_expected_grade_falls():
    probabilities = jnp.array([[0.1, 0.2, 0.7], [0.2, 0.4, 0.4], [0.8, 0.1, 0.1]])
    expected_grade = probabilities @ jnp.array([0, 0.5, 1])
    found = evidence(probabilities, jnp.array([1, 0.5, 0]))
    np.testing.assert_allclose(found, np.log(1 / expected_grade - 1), rtol=1e-5)
