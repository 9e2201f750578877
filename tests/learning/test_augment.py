"""Properties of the random changes of training tiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.learning.augment import augment, colour_matrix, mirror_positions, to_unit

NOTHING = {
    "flip_horizontal": False,
    "flip_vertical": False,
    "hue_jitter": 0.0,
    "saturation_jitter": 0.0,
}
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def tiles():
    # Middle values: colour changes of them are not cut at 0 or 255.
    rng = np.random.default_rng(0)
    return jnp.array(rng.integers(90, 165, (16, 3, 8, 8, 3), dtype=np.uint8))


def changed(tiles, seed=0, **arguments):
    return np.asarray(augment(tiles, jax.random.key(seed), **{**NOTHING, **arguments}))


def test_nothing_asked_changes_nothing(tiles):
    np.testing.assert_array_equal(changed(tiles), to_unit(tiles))


@pytest.mark.parametrize(("name", "axis"), [("flip_horizontal", 3), ("flip_vertical", 2)])
def test_flips_mirror_whole_bags_about_half_of_the_time(tiles, name, axis):
    given = np.asarray(to_unit(tiles))
    mirrored = np.flip(given, axis)
    is_mirrored = [
        np.array_equal(bag, other)
        for bag, other in zip(changed(tiles, **{name: True}), mirrored, strict=True)
    ]
    is_kept = [
        np.array_equal(bag, other)
        for bag, other in zip(changed(tiles, **{name: True}), given, strict=True)
    ]
    assert all(np.logical_xor(is_mirrored, is_kept))
    assert 3 <= sum(is_mirrored) <= 13


def test_colour_changes_keep_luma(tiles):
    result = changed(tiles, hue_jitter=0.1, saturation_jitter=0.2)
    assert np.abs(result - to_unit(tiles)).max() > 0.02
    np.testing.assert_allclose(result @ LUMA, np.asarray(to_unit(tiles)) @ LUMA, atol=2e-4)


def test_grey_stays_grey():
    grey = jnp.full((4, 1, 8, 8, 3), 120, jnp.uint8)
    result = changed(grey, hue_jitter=0.5, saturation_jitter=1.0)
    np.testing.assert_allclose(result, to_unit(grey), atol=2e-4)


def test_a_turn_of_the_hue_composes_and_a_whole_turn_is_none():
    def turn(hue):
        return np.asarray(colour_matrix(jnp.array([hue]), jnp.ones(1))[0])

    np.testing.assert_allclose(turn(0.1) @ turn(0.2), turn(0.3), atol=1e-5)
    np.testing.assert_allclose(turn(1.0), np.eye(3), atol=1e-5)
    # A third of the circle leads from a red that is not pure towards another primary.
    assert np.argmax(turn(1 / 3) @ (1, 0, 0)) != 0


def test_no_saturation_is_luma():
    colour = np.array([0.7, 0.2, 0.4])
    matrix = np.asarray(colour_matrix(jnp.zeros(1), jnp.zeros(1))[0])
    np.testing.assert_allclose(matrix @ colour, np.full(3, colour @ LUMA), atol=1e-4)


def test_values_stay_in_the_unit_interval():
    extreme = jnp.array(np.random.default_rng(0).choice([0, 255], (8, 1, 8, 8, 3)), jnp.uint8)
    result = changed(extreme, hue_jitter=0.5, saturation_jitter=1.0)
    assert 0 <= result.min() and result.max() <= 1


def test_an_example_depends_on_its_place_alone(tiles):
    arguments = {"flip_horizontal": True, "flip_vertical": True, "hue_jitter": 0.1}
    whole = changed(tiles, **arguments)
    part = changed(tiles[12:], **arguments, place=jnp.arange(12, 16))
    # Compilers may fuse the two sizes differently: the last bit is theirs.
    np.testing.assert_allclose(whole[12:], part, atol=1e-6)


def test_keys_decide(tiles):
    arguments = {"hue_jitter": 0.1, "saturation_jitter": 0.2}
    np.testing.assert_array_equal(changed(tiles, 1, **arguments), changed(tiles, 1, **arguments))
    assert not np.array_equal(changed(tiles, 1, **arguments), changed(tiles, 2, **arguments))


def test_positions_move_with_the_mirrored_photograph():
    rows, columns, examples = 2, 3, 32
    key = jax.random.key(0)
    position = np.indices((rows, columns)).reshape(2, -1).T
    positions = jnp.broadcast_to(jnp.array(position), (examples, *position.shape))
    grid = jnp.broadcast_to(jnp.array([rows, columns]), (examples, 2))
    moved = mirror_positions(positions, grid, key, flip_horizontal=True, flip_vertical=True)

    def is_mirrored(axis):
        """Tells by the pixels which examples were mirrored along an axis of theirs."""
        ramp = np.moveaxis(np.zeros((examples, 1, 4, 4, 3), np.uint8), axis, -1)
        ramp = np.moveaxis(ramp + np.arange(4, dtype=np.uint8), -1, axis)
        return changed(jnp.array(ramp), flip_horizontal=True, flip_vertical=True)[:, 0, 0, 0, 0] > 0

    is_top_bottom, is_left_right = is_mirrored(2), is_mirrored(3)
    assert 0 < is_top_bottom.sum() < examples and 0 < is_left_right.sum() < examples
    expected = np.array(positions)
    expected[is_top_bottom, :, 0] = rows - 1 - expected[is_top_bottom, :, 0]
    expected[is_left_right, :, 1] = columns - 1 - expected[is_left_right, :, 1]
    np.testing.assert_array_equal(moved, expected)
