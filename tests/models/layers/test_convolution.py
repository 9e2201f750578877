"""The layer equals its plain formulation in float64, gradients and running statistics included."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.layers.convolution import ConvolutionNorm


def plain_layer(inputs, kernel, scale, bias, mask, stride, groups, is_cut):
    """Spells the training pass out; autodiff gives the gradients."""
    padding = (kernel.shape[0] - 1) // 2
    x = jax.lax.conv_general_dilated(
        inputs,
        kernel,
        (stride, stride),
        ((padding, padding),) * 2,
        feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    real = x[np.flatnonzero(mask)]
    mean = real.mean((0, 1, 2))
    var = ((real - mean) ** 2).mean((0, 1, 2))
    y = (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias
    y = jnp.where(y < 0, 0, jnp.where(y > 6, 6, y)) if is_cut else y
    return y, (mean, var * real[..., 0].size / (real[..., 0].size - 1))


@pytest.mark.parametrize("mask", [(1, 1, 1, 1, 1), (1, 0, 1, 1, 0)])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "is_depthwise", "channels", "is_cut"),
    [
        (1, 1, False, 12, True),
        (1, 1, False, 3, False),
        (3, 2, False, 8, True),
        (3, 1, True, 6, True),
        (3, 2, True, 6, True),
    ],
)
def test_training_pass_equals_plain_formulation(
    kernel_size, stride, is_depthwise, channels, is_cut, mask
):
    rng = np.random.default_rng(0)
    mask = jnp.array(mask, bool)
    layer = ConvolutionNorm(channels, kernel_size, stride, is_depthwise, is_cut)
    inputs = rng.normal(1, 2, (5, 6, 8, 6))
    params = {
        "kernel": rng.normal(size=(kernel_size, kernel_size, 1 if is_depthwise else 6, channels)),
        "scale": rng.normal(2, 1, channels),
        "bias": rng.normal(1, 1, channels),
    }
    # Running statistics far from this batch's: they serve as the shift of the sums.
    stats = {"mean": np.full(channels, 5.0), "var": np.full(channels, 3.0)}
    to_32 = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tree)  # noqa: E731

    def run(inputs, params):
        variables = {"params": params, "batch_stats": to_32(stats)}
        y, moved = layer.apply(variables, inputs, mask, True, mutable=["batch_stats"])
        return y, moved["batch_stats"]

    y, pull, moved = jax.vjp(run, to_32(inputs), to_32(params), has_aux=True)
    direction = rng.normal(size=y.shape)
    gradients = pull(to_32(direction))

    with jax.enable_x64(True):
        groups = channels if is_depthwise else 1

        def run_plain(inputs, params):
            return plain_layer(
                inputs, **params, mask=mask, stride=stride, groups=groups, is_cut=is_cut
            )

        wanted, pull_plain, (mean, var) = jax.vjp(
            run_plain, jnp.asarray(inputs), jax.tree.map(jnp.asarray, params), has_aux=True
        )
        wanted_gradients = pull_plain(jnp.asarray(direction))
    np.testing.assert_allclose(y, wanted, atol=2e-5)
    for gradient, value in zip(
        jax.tree.leaves(gradients), jax.tree.leaves(wanted_gradients), strict=True
    ):
        np.testing.assert_allclose(gradient, value, atol=2e-6 * np.abs(value).max() + 1e-5)
    mean, var = np.asarray(mean), np.asarray(var)
    np.testing.assert_allclose(moved["mean"], 0.9 * 5 + 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(moved["var"], 0.9 * 3 + 0.1 * var, rtol=1e-5)


def test_empty_batch_moves_nothing_and_stays_finite():
    layer = ConvolutionNorm(4)
    inputs, mask = jnp.ones((2, 3, 3, 4)), jnp.zeros(2, bool)
    variables = layer.init(jax.random.key(0), inputs, mask, False)

    def loss(params):
        variables_ = {**variables, "params": params}
        y, moved = layer.apply(variables_, inputs, mask, True, mutable=["batch_stats"])
        return y.sum(), moved

    (_, moved), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
    jax.tree.map(np.testing.assert_array_equal, moved["batch_stats"], variables["batch_stats"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_bfloat16_keeps_parameters_and_statistics_in_float32():
    layer = ConvolutionNorm(8, 3, is_depthwise=True, dtype=jnp.bfloat16)
    inputs, mask = jax.random.normal(jax.random.key(0), (4, 8, 8, 8)), jnp.ones(4, bool)
    variables = layer.init(jax.random.key(1), inputs, mask, False)

    def loss(params, dtype):
        y, moved = layer.clone(dtype=dtype).apply(
            {**variables, "params": params}, inputs, mask, True, mutable=["batch_stats"]
        )
        return jnp.sum(y.astype(jnp.float32) ** 2), (y, moved)

    run = jax.value_and_grad(loss, has_aux=True)
    (_, (y, moved)), gradients = run(variables["params"], jnp.bfloat16)
    (_, (wanted, _)), wanted_gradients = run(variables["params"], jnp.float32)
    assert y.dtype == jnp.bfloat16
    for leaf in jax.tree.leaves((variables, moved, gradients)):
        assert leaf.dtype == jnp.float32
    np.testing.assert_allclose(y.astype(np.float32), wanted, atol=0.06)
    gradient, wanted = gradients["kernel"].ravel(), wanted_gradients["kernel"].ravel()
    # Through BatchNorm the kernel's gradient is a small difference of large sums.
    assert np.abs(gradient - wanted).max() < 0.1 * np.abs(wanted_gradients["scale"]).max()


@pytest.mark.parametrize("is_depthwise", [False, True])
def test_many_devices_equal_one_with_uneven_masks(is_depthwise):
    devices = jax.devices()[:8]
    layer = ConvolutionNorm(6, 3 if is_depthwise else 1, 1, is_depthwise)
    rng = np.random.default_rng(1)
    inputs = jnp.array(rng.normal(size=(16, 4, 4, 6)), jnp.float32)
    direction = rng.normal(size=inputs.shape).astype(np.float32)
    # One device has no real example at all.
    mask = jnp.array([0, 0, 1, 1, 1, 0] + [1] * 10, bool)
    variables = layer.init(jax.random.key(0), inputs, mask, False)

    def run(layer, params, inputs, mask, direction):
        def loss(params, inputs):
            y, moved = layer.apply(
                {**variables, "params": params}, inputs, mask, True, mutable=["batch_stats"]
            )
            return jnp.sum(y * direction), moved

        return jax.grad(loss, (0, 1), has_aux=True)(params, inputs)

    (gradient, input_gradient), moved = run(layer, variables["params"], inputs, mask, direction)
    shard = lambda a: a.reshape(len(devices), -1, *a.shape[1:])  # noqa: E731
    mapped = jax.pmap(
        functools.partial(run, layer.clone(axis_name="data")),
        "data",
        in_axes=(None, 0, 0, 0),
        devices=devices,
    )
    (gradients, input_gradients), moves = mapped(
        variables["params"], shard(inputs), shard(mask), shard(direction)
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    close(input_gradients.reshape(inputs.shape), input_gradient)
    jax.tree.map(lambda many, one: close(many.sum(0), one), gradients, gradient)
    jax.tree.map(lambda many, one: [close(each, one) for each in many], moves, moved)
