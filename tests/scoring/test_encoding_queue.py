"""Every bag gets the embeddings of its own tiles, however they are cut into chunks."""

import numpy as np
import pytest

from input_pipeline.batches.whole_bags import Bag
from iqa_jax.scoring.encoding_queue import EncodingQueue

SIZES = (3, 0, 1, 17, 0, 2, 8, 5)


def make_bags():
    """Makes bags whose tiles are numbered through; one has its embeddings already."""
    ends = np.cumsum(SIZES)
    for image_id, (size, end) in enumerate(zip(SIZES, ends, strict=True)):
        numbers = np.arange(end - size, end, dtype=np.uint8).reshape(-1, 1, 1, 1)
        tiles = np.broadcast_to(numbers, (size, 2, 2, 3))
        known = np.full((4, 1), -1.0, np.float32) if image_id == 4 else None
        yield Bag(image_id, tiles, np.zeros((size, 0), np.float32), None, embeddings=known)


@pytest.mark.parametrize("length", [1, 4, 8, 100])
def test_every_bag_gets_the_embeddings_of_its_own_tiles(length):
    filled = []

    def encode(chunk, count):
        assert chunk.shape == (length, 2, 2, 3)
        filled.append(count)
        return chunk[:count, 0, 0, :1].astype(np.float32)

    found = list(EncodingQueue(length, encode).run(make_bags()))
    assert [bag.image_id for bag, _ in found] == list(range(len(SIZES)))
    starts = np.cumsum(SIZES) - SIZES
    for (bag, embeddings), size, start in zip(found, SIZES, starts, strict=True):
        assert not len(bag.tiles)
        expected = [-1.0] * 4 if bag.image_id == 4 else list(range(start, start + size))
        assert embeddings.ravel().tolist() == expected
    # Only the last chunk may be encoded before it is full.
    assert filled[:-1] == [length] * (len(filled) - 1) and sum(filled) == sum(SIZES)


def test_a_bag_does_not_wait_for_those_after_it():
    given = []

    def bags():
        for bag in make_bags():
            given.append(bag.image_id)
            yield bag

    found = EncodingQueue(3, lambda chunk, count: np.zeros((count, 1))).run(bags())
    assert next(found)[0].image_id == 0 and given == [0]
    assert next(found)[0].image_id == 1 and given == [0, 1]


def test_without_bags_nothing_is_encoded():
    assert list(EncodingQueue(3, lambda *_: pytest.fail("it was")).run([])) == []
