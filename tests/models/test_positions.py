"""Golden vectors of the positions, and that learned tables serve every grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.models.positions import (
    POSITIONS,
    PositionEmbedding,
    hash_cell,
    resize_at,
    sincos_2d,
)


def raster(rows, columns):
    """Every position of a grid, as a batch of one bag, and the grid's shape."""
    position = np.stack(np.indices((rows, columns)), axis=-1).reshape(1, -1, 2)
    return jnp.array(position, jnp.int32), jnp.array([[rows, columns]], jnp.int32)


def test_hash_of_seven_rows_onto_ten_cells():
    np.testing.assert_array_equal(hash_cell(jnp.arange(7), jnp.array(7), 10), [0, 1, 2, 4, 5, 7, 8])


@pytest.mark.parametrize("length", [1, 9, 10, 11, 257])
def test_hash_stays_in_its_cells_and_in_order(length):
    cells = np.asarray(hash_cell(jnp.arange(length), jnp.array(length), 10))
    assert cells.min() >= 0 and cells.max() < 10 and (np.diff(cells) >= 0).all()
    assert len(np.unique(cells)) == min(length, 10)


def test_sincos_by_hand():
    # Width 8: two frequencies, 1 and 10000^-1; row 3, column 5.
    expected = [
        *(np.sin(5), np.sin(5e-4), np.cos(5), np.cos(5e-4)),
        *(np.sin(3), np.sin(3e-4), np.cos(3), np.cos(3e-4)),
    ]
    np.testing.assert_allclose(sincos_2d(jnp.array([3, 5]), 8), expected, atol=1e-6)


@pytest.mark.parametrize("dim", [4, 30])
def test_sincos_refuses_a_width_it_cannot_fill(dim):
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_2d(jnp.zeros(2), dim)


def test_sincos_similarity_depends_on_the_step_alone():
    position, _ = raster(9, 7)
    embedded = np.asarray(sincos_2d(position[0], 64))
    place = {tuple(p): e for p, e in zip(position[0].tolist(), embedded, strict=True)}
    near = [place[r, c] @ place[r + 1, c + 2] for r in range(8) for c in range(5)]
    np.testing.assert_allclose(near, near[0], rtol=1e-5)
    assert near[0] < place[0, 0] @ place[0, 1]


@pytest.mark.parametrize("length", [3, 6, 10, 23])
def test_tables_resize_as_an_image_does(length):
    table = jax.random.normal(jax.random.key(0), (6, 4))
    expected = jax.image.resize(table, (length, 4), "linear", antialias=False)
    found = resize_at(table, jnp.arange(length), jnp.array(length))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
def test_larger_and_oblong_grids_than_trained_on(positions):
    module = PositionEmbedding(positions, 16, 4)
    variables = module.init(jax.random.key(0), *raster(2, 3))
    position, grid = raster(13, 5)
    embedded = np.asarray(module.apply(variables, position, grid))[0].reshape(13, 5, 16)
    assert np.isfinite(embedded).all()
    if positions != "none":
        # The four corners differ, in both directions.
        corners = embedded[[0, 0, -1, -1], [0, -1, 0, -1]]
        gaps = np.abs(corners[:, None] - corners[None]).max(axis=-1)
        assert gaps[~np.eye(4, dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("positions", ["learned_2d", "hash_grid"])
def test_relative_tables_put_the_corner_where_it_was(positions):
    module = PositionEmbedding(positions, 16, 4)
    variables = module.init(jax.random.key(0), *raster(4, 4))
    small, large = (
        np.asarray(module.apply(variables, *raster(rows, columns)))[0, -1]
        for rows, columns in ((4, 4), (9, 17))
    )
    np.testing.assert_allclose(small, large, atol=1e-6)


def test_learned_1d_does_not_know_columns_and_learned_2d_does():
    # The second tile of a 1 x 4 grid and of a 4 x 1 grid are the same in reading order.
    for positions, is_same in (("learned_1d", True), ("learned_2d", False)):
        module = PositionEmbedding(positions, 16, 4)
        variables = module.init(jax.random.key(0), *raster(4, 4))
        wide, tall = (
            np.asarray(module.apply(variables, *raster(*grid)))[0, 1] for grid in ((1, 4), (4, 1))
        )
        assert np.allclose(wide, tall) == is_same
