"""From tiles of many images to chunks of one length, and back: what the encoder is fed with."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from input_pipeline.batches.whole_bags import Bag


class EncodingQueue:
    """Cuts the tiles of bags into chunks of one length, and gives each bag its embeddings.

    Args:
        length: tiles in a chunk.
        encode: `(chunk, filled)` -> embeddings [filled, dim] of its first tiles.
    """

    def __init__(self, length: int, encode: Callable[[np.ndarray, int], np.ndarray]):
        self._length, self._encode = length, encode
        self._chunk = np.zeros(0, np.uint8)  # Until there is a tile to tell its shape.
        self._filled = 0
        self._waiting: deque[tuple[Bag, list[np.ndarray]]] = deque()  # Not all is encoded.

    def run(self, bags: Iterable[Bag]) -> Iterator[tuple[Bag, np.ndarray]]:
        """Gives each bag without its tiles, and their embeddings [tile, dim]; in their order."""
        for bag in bags:
            self._waiting.append((bag, []))
            self._fill(bag.tiles)
            yield from self._complete()
        if self._filled:
            self._flush()
        yield from self._complete()

    def _fill(self, tiles: np.ndarray) -> None:
        """Puts tiles into the chunk, which is encoded whenever it is full."""
        if not len(self._chunk):
            self._chunk = np.zeros((self._length, *tiles.shape[1:]), np.uint8)
        while len(tiles):
            taken = tiles[: self._length - self._filled]
            self._chunk[self._filled : self._filled + len(taken)] = taken
            self._filled, tiles = self._filled + len(taken), tiles[len(taken) :]
            if self._filled == self._length:
                self._flush()

    def _flush(self) -> None:
        """Encodes what is in the chunk, and deals it out to the bags that wait for it."""
        embeddings, self._filled = self._encode(self._chunk, self._filled), 0
        for bag, parts in self._waiting:
            missing = len(bag.tiles) - sum(map(len, parts))
            parts.append(embeddings[:missing])
            embeddings = embeddings[missing:]

    def _complete(self) -> Iterator[tuple[Bag, np.ndarray]]:
        """Takes out the first bags as far as all of their tiles are encoded."""
        while self._waiting:
            bag, parts = self._waiting[0]
            if len(bag.tiles) > sum(map(len, parts)):
                return
            self._waiting.popleft()
            # The pixels are done with: a group of bags must not hold them.
            bare = dataclasses.replace(bag, tiles=bag.tiles[:0].copy())
            parts = [bag.embeddings] if bag.embeddings is not None else parts
            yield bare, np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
