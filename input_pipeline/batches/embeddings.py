"""The cache of tile embeddings of a frozen encoder, and training batches from it.

One file per image, named by what it was computed from: the picture's content, and in the name of
the folder the encoder's weights and the tiling. So an embedding can never be stale, equal pictures
share one file, runs share a cache, and a cache that was being written goes on where it stopped.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from input_pipeline.batches.bags import bag_batches
from input_pipeline.batches.whole_bags import Bag
from input_pipeline.batches.worker_batches import Batches
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import FeatureTable, feature_width
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import TileIndex


class EmbeddingCache:
    """Embeddings on disk, memory-mapped.

    Args:
        root: folder that caches of all encoders share.
        about: what embeddings depend on besides the picture (weights, tiling, copies), for JSON.
    """

    def __init__(self, root: Path, about: Mapping[str, Any]):
        text = json.dumps(about, sort_keys=True)
        self.folder = Path(root) / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "about.json").write_text(text)

    def read(self, content: str) -> Float32[np.ndarray, "copy tile dim"] | None:
        """Gives the embeddings of a picture, by the hash of its content; None if not there."""
        try:
            # NumPy reads its header with `ast`, whose recursion check is no good with threads in
            # Python 3.11 (CPython issue 106905).
            with self._lock:
                return np.load(self._path(content), mmap_mode="r")
        except (FileNotFoundError, ValueError, EOFError):
            # Damaged by a crash or a full disk: as good as not there.
            return None

    def warning(self, content: str) -> str:
        """Gives what was wrong with a picture that was embedded all the same, or nothing."""
        try:
            return self._path(content).with_suffix(".txt").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(
        self, content: str, embeddings: Float32[np.ndarray, "copy tile dim"], warning: str = ""
    ) -> None:
        """Keeps the embeddings of a picture, and a warning of it; the file appears whole."""
        path = self._path(content)
        path.parent.mkdir(exist_ok=True)
        if warning:
            path.with_suffix(".txt").write_text(warning, encoding="utf-8")
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
) -> Batches:
    """Makes the stream of training batches of bags of cached embeddings, by that name.

    Args:
        read: image_id -> its embeddings, of all tiles of the grid.
        index, images, features, tiles_per_bag: as in `bag_batches`.
        **order: as in `shuffled_batches`.
    """

    def read_tiles(image_id, rows, rng):
        copies = read(image_id)
        chosen = copies[rng.integers(len(copies)), index.number[rows]]
        return {"embeddings": np.asarray(chosen)}, {}

    return bag_batches(index, images, features, read_tiles, tiles_per_bag=tiles_per_bag, **order)


def embedded_bags(
    read: Callable[[int], Float32[np.ndarray, "copy tile dim"]],
    source: TileSource,
    image_ids: Sequence[int],
    features: FeatureTable,
    images: pd.DataFrame,
    warning: Callable[[int], str] = lambda image_id: "",
) -> Iterator[Bag]:
    """Gives whole images as bags of cached embeddings; a bad image is a bag with its error.

    Args:
        read: image_id -> its embeddings.
        source: of the layouts.
        image_ids: which pictures.
        features: hand-crafted features, none of them measured on pixels.
        images: the manifest's images.
        warning: image_id -> what is wrong with its picture.
    """
    nothing = np.zeros((0, 1, 1, 3), np.uint8)
    for image_id in map(int, image_ids):
        try:
            layout = source.layout(image_id)
            embeddings = np.asarray(read(image_id)[0])
        except ImageError as error:
            no_features = np.zeros((0, feature_width(features.names)), np.float32)
            yield Bag(image_id, nothing, no_features, None, str(error))
            continue
        count = len(embeddings)
        values = features({}, count, count, images.loc[image_id])
        about = {"embeddings": embeddings, "warning": warning(image_id)}
        yield Bag(image_id, nothing, values, layout, **about)
