"""The Grain graph: which tiles, in which order, balanced, cut, batched.

Training examples are tiles (bags of one) or images (bags of some).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Num

from input_pipeline.batches.whole_bags import pad_bag
from input_pipeline.batches.worker_batches import Batches, WorkerBatches
from input_pipeline.extras import extra
from input_pipeline.tiles.features import MEASURED, FeatureTable, Measured, measure_tiles
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import NO_LIMIT, TileIndex, rows_by_image
from input_pipeline.tiles.tiling import cut, grid, pixel_mask, random_origins, within_band
from input_pipeline.tiles.views import resize

# More draws than any run makes. Grain's endless `repeat` has sys.maxsize of them, which no float
# is, and a batch of one counts its batches in floats.
_DRAWS = 1 << 52


def shuffled_batches(
    labels: Num[np.ndarray, " example"],
    make_bag: Callable[[int, np.random.Generator], dict[str, np.ndarray]],
    *,
    batch_size: int,
    balanced: bool,
    shares: Sequence[float] = (),
    seed: int,
    threads: int,
    workers: int = 0,
    process: int = 0,
    processes: int = 1,
    join: Callable[[Sequence[dict]], dict[str, np.ndarray]] | None = None,
) -> Batches:
    """Makes the endless stream of training batches: shuffle, balance, make, share out, batch.

    The order depends on the seed alone, and `get_state` after k batches leads back to batch k.

    Args:
        labels: of the examples, or other values that may be balanced.
        make_bag: number of an example and its random numbers -> the values of its bag.
        batch_size: examples per batch, over all processes.
        balanced: draw every label equally often ...
        shares: ... or, of labels 0, 1, ..., each so often relative to the others.
        seed: of order and random numbers.
        threads: that make bags.
        workers: processes that make batches instead, if not 0.
        process, processes: this process makes that part of every batch.
        join: makes one batch of what was made of its examples; by default their values are stacked.
    """

    with extra("train"):
        import grain

    def shuffled(examples, salt):
        dataset = grain.MapDataset.source(examples).seed(seed + salt).shuffle()
        return dataset.repeat(_DRAWS // len(examples))

    if balanced:
        parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        order = grain.MapDataset.mix(
            [shuffled(part, salt) for salt, part in enumerate(parts)], shares or None
        )
    else:
        order = shuffled(np.arange(len(labels)), 0)
    # Shared out after the random numbers are drawn: they do not depend on the number of processes,
    # nor does the position, which counts batches.
    bags = order.seed(seed).random_map(make_bag)
    dataset = bags.batch(batch_size // processes, batch_fn=join)[process::processes]
    if workers:
        return WorkerBatches(dataset, workers)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(dataset.to_iter_dataset(options))


# (image_id, rows of the index, random numbers) -> the values of these tiles by name, [tile, ...],
# and what was measured on them.
Reader = Callable[[int, np.ndarray, np.random.Generator], tuple[dict[str, np.ndarray], Measured]]
BagMaker = Callable[[int, np.random.Generator], dict[str, np.ndarray]]


def bag_maker(
    index: TileIndex,
    images: pd.DataFrame,
    features: FeatureTable,
    examples: Sequence[Int[np.ndarray, " _"]] | Int[np.ndarray, "example row"],
    read: Reader,
    *,
    tiles_per_bag: int,
) -> BagMaker:
    """Makes the function that makes the bag of an example, whatever stands for its tiles.

    Args:
        index: of the tiles that may be used.
        images: has the labels.
        features: scaling of the hand-crafted features.
        examples: rows of the index, all of one image, that each example draws its tiles from.
        read: gives the tiles.
        tiles_per_bag: so many tiles are drawn anew from an example that has more.

    Returns:
        (number of an example, random numbers) -> what `read` names, `tile_mask`, `tile_position`,
        `grid_shape`, `features`, `label`, `mask` and `image_id`.
    """
    labels = images["label"].to_numpy()

    def make_bag(example, rng):
        rows = examples[example]
        if len(rows) > tiles_per_bag:
            rows = np.sort(rng.choice(rows, tiles_per_bag, replace=False))
        image_id = int(index.image_id[rows[0]])
        layout = index.layouts[image_id]
        values, measured = read(image_id, rows, rng)
        tile_count = len(layout.grid.origins)
        values |= {
            "tile_position": layout.grid.positions[index.number[rows]],
            "features": features(measured, len(rows), tile_count, images.loc[image_id]),
        }
        return pad_bag(values, tiles_per_bag) | {
            "grid_shape": np.array(layout.grid.shape, np.int32),
            "label": labels[image_id],
            "mask": np.True_,
            "image_id": np.int32(image_id),
        }

    return make_bag


def bag_batches(
    index: TileIndex,
    images: pd.DataFrame,
    features: FeatureTable,
    read: Reader,
    *,
    tiles_per_bag: int = 1,
    **order: Any,
) -> Batches:
    """Makes the stream of training batches of bags.

    Args:
        index, images, features, read: as in `bag_maker`.
        tiles_per_bag: 1: every tile is an example; more: every image is one.
        **order: as in `shuffled_batches`.
    """
    is_tiles = tiles_per_bag == 1
    examples = np.arange(len(index))[:, None] if is_tiles else rows_by_image(index)
    make_bag = bag_maker(index, images, features, examples, read, tiles_per_bag=tiles_per_bag)
    first = np.array([rows[0] for rows in examples])
    # Of several sets of scores, which have no classes, each set is drawn as often.
    labels = images["set_id" if "set_id" in images else "label"].to_numpy()
    return shuffled_batches(labels[index.image_id[first]], make_bag, **order)


def tile_reader(
    source: TileSource,
    index: TileIndex,
    features: FeatureTable,
    *,
    random_tiles: bool,
    random_scales: Sequence[float] = (),
    low: int,
    high: int = NO_LIMIT,
) -> Reader:
    """Makes what reads tiles of the index, by the name `tiles`.

    Args:
        source: of the tiles.
        index: of the tiles that may be used.
        features: hand-crafted features that are asked for.
        random_tiles: move tiles by less than a stride; one that leaves the band is not moved.
        random_scales: with `random_tiles`, a tile is cut from anywhere in the image resized by one
            of these factors, or moved as above in the image as it is, each as often. Its place in
            the grid is then no longer its position.
        low, high: the band of edge pixels.
    """
    is_banded = low > 0 or high != NO_LIMIT
    measures = [
        name for name in MEASURED
        if name in features.names or (is_banded and name == "edge_sum")
    ]  # fmt: skip

    def read(image_id, rows, rng):
        layout, numbers = index.layouts[image_id], index.number[rows]
        measured = index.measured_of(rows)
        if not random_tiles or source.is_cut(image_id):
            return {"tiles": source.tiles(image_id, layout, numbers)}, measured
        size, still = source.tiling.size, layout.grid.origins[numbers]
        image, starts = source.image(image_id), still
        scale = rng.choice((1.0, *random_scales)) if random_scales else 1.0
        looked_at = resize(image, scale)
        height, width = looked_at.shape[:2]
        if scale != 1:
            starts = rng.choice(grid(height, width, source.tiling).origins, len(numbers))
        origins = random_origins(height, width, starts, source.tiling, rng)
        tiles = cut(looked_at, origins, size)
        if not measures:
            return {"tiles": tiles}, measured
        masks = pixel_mask(height, width, origins, size)
        moved = measure_tiles(measures, tiles, masks)
        if is_banded:
            is_out = ~within_band(moved["edge_sum"], low, high)
            tiles[is_out] = cut(image, still[is_out], size)
            for name in measures:
                moved[name][is_out] = measured[name][is_out]
        return {"tiles": tiles}, moved

    return read


def training_batches(
    source: TileSource,
    index: TileIndex,
    images: pd.DataFrame,
    features: FeatureTable,
    *,
    random_tiles: bool,
    random_scales: Sequence[float] = (),
    low: int,
    high: int = NO_LIMIT,
    **order: Any,
) -> Batches:
    """Makes the stream of training batches of bags of tiles.

    Args:
        source, random_tiles, random_scales, low, high: as in `tile_reader`.
        index, images, features: as in `bag_maker`.
        **order: as in `bag_batches`.
    """
    read = tile_reader(
        source,
        index,
        features,
        random_tiles=random_tiles,
        random_scales=random_scales,
        low=low,
        high=high,
    )
    return bag_batches(index, images, features, read, **order)
