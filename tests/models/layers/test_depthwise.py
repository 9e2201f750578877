"""The CPU form of the depthwise convolution equals the library's, gradients included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.layers import depthwise


@pytest.mark.parametrize(
    ("n", "height", "width", "stride"),
    [
        (1, 5, 5, 1),
        (1, 6, 6, 2),
        (3, 4, 9, 1),
        (11, 6, 5, 2),
        (9, 7, 8, 2),
        (17, 1, 2, 1),
        (2, 1, 1, 2),
    ],
)
def test_equals_grouped_convolution(n, height, width, stride):
    rng = np.random.default_rng(n)
    x = jnp.asarray(rng.normal(size=(n, height, width, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, 1, 4)), jnp.float32)
    expected, pull_expected = jax.vjp(lambda *a: depthwise._grouped(*a, stride), x, kernel)
    result, pull = jax.vjp(lambda *a: depthwise.depthwise_convolution(*a, stride), x, kernel)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    direction = rng.normal(size=expected.shape).astype(np.float32)
    for gradient, wanted in zip(pull(direction), pull_expected(direction), strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=3e-5)


def test_every_platform_gets_its_own_form_alone():
    x, kernel = jnp.zeros((2, 8, 8, 4)), jnp.zeros((3, 3, 1, 4))

    def loss(x, kernel):
        return jnp.sum(depthwise.depthwise_convolution(x, kernel, 2) ** 2)

    traced = jax.jit(jax.grad(loss, (0, 1))).trace(x, kernel)
    for platform in ("cpu", "cuda", "tpu"):
        program = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in program) == (platform != "cpu")
    # What chooses is gone from the program that runs.
    assert " conditional(" not in traced.lower().compile().as_text()
