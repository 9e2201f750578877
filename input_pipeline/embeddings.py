"""The cache of tile embeddings of a frozen encoder, and training batches from it.

One file per image, named by what it was computed from: the picture's content, and in the name of
the folder the encoder's weights and the tiling. So an embedding can never be stale, equal pictures
share one file, runs share a cache, and a cache that was being written goes on where it stopped.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pandas as pd
from jaxtyping import Float32

from input_pipeline.bags import Bag, TileIndex, pad_bag, shuffled_batches
from input_pipeline.features import FeatureTable
from input_pipeline.images import ImageError
from input_pipeline.sources import TileSource


class EmbeddingCache:
    """Embeddings on disk, memory-mapped.

    Args:
      root: folder that caches of all encoders share.
      about: what embeddings depend on besides the picture (weights, tiling, copies), for JSON.
    """

    def __init__(self, root: Path, about: Mapping[str, Any]):
        text = json.dumps(about, sort_keys=True)
        self.folder = Path(root) / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "about.json").write_text(text)

    def read(self, content: str) -> Float32[np.ndarray, "copy tile dim"] | None:
        """Gives the embeddings of a picture, by the hash of its content; None if not there."""
        try:
            return np.load(self._path(content), mmap_mode="r")
        except (FileNotFoundError, ValueError, EOFError):
            # Damaged by a crash or a full disk: as good as not there.
            return None

    def write(self, content: str, embeddings: Float32[np.ndarray, "copy tile dim"]) -> None:
        """Keeps the embeddings of a picture; the file appears whole."""
        path = self._path(content)
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, embeddings)
        part.replace(path)

    def _path(self, content: str) -> Path:
        return self.folder / content[:2] / f"{content}.npy"


def embedding_batches(
    read: Callable[[int], Float32[np.ndarray, "copy tile dim"]],
    index: TileIndex,
    images: pd.DataFrame,
    features: FeatureTable,
    *,
    tiles_per_bag: int,
    **order: Any,
) -> grain.DatasetIterator:
    """Makes the stream of training batches of bags of cached embeddings.

    Args:
      read: image_id -> its embeddings, of all tiles of the grid.
      index: of the tiles that may be used.
      images: has the labels.
      features: scaling of the hand-crafted features.
      tiles_per_bag: so many tiles are drawn anew from an image that has more.
      **order: as in `shuffled_batches`.

    Returns:
      As `training_batches`, with `embeddings` [batch, tile, dim] in the place of `tiles`.
    """
    labels = images["label"].to_numpy()
    image_ids, starts = np.unique(index.image_id, return_index=True)
    examples: Sequence[np.ndarray] = np.split(np.arange(len(index)), starts[1:])

    def make_bag(example, rng):
        rows, image_id = examples[example], int(image_ids[example])
        if len(rows) > tiles_per_bag:
            rows = np.sort(rng.choice(rows, tiles_per_bag, replace=False))
        layout, copies = index.layouts[image_id], read(image_id)
        numbers = index.number[rows]
        edges, tile_count = index.edge_sum[rows], len(layout.grid.origins)
        values = {
            "embeddings": np.asarray(copies[rng.integers(len(copies)), numbers]),
            "tile_position": layout.grid.positions[numbers],
            "features": features(edges, tile_count, images.loc[image_id]),
        }
        return pad_bag(values, tiles_per_bag) | {
            "grid_shape": np.array(layout.grid.shape, np.int32),
            "label": labels[image_id],
            "mask": np.True_,
            "image_id": np.int32(image_id),
        }

    return shuffled_batches(labels[image_ids], make_bag, **order)


def embedded_bags(
    read: Callable[[int], Float32[np.ndarray, "copy tile dim"]],
    source: TileSource,
    image_ids: Sequence[int],
    features: FeatureTable,
    images: pd.DataFrame,
) -> Iterator[Bag]:
    """Gives whole images as bags of cached embeddings; a bad image is a bag with its error.

    Args:
      read: image_id -> its embeddings.
      source: of the layouts.
      image_ids: which pictures.
      features: hand-crafted features, none of them measured on pixels.
      images: the manifest's images.
    """
    nothing = np.zeros((0, 1, 1, 3), np.uint8)
    for image_id in map(int, image_ids):
        try:
            layout = source.layout(image_id)
            embeddings = np.asarray(read(image_id)[0])
        except ImageError as error:
            no_features = np.zeros((0, len(features.names)), np.float32)
            yield Bag(image_id, nothing, no_features, None, str(error))
            continue
        count = len(embeddings)
        values = features(np.zeros(count), count, images.loc[image_id])
        yield Bag(image_id, nothing, values, layout, embeddings=embeddings)
