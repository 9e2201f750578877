"""The Grain graph: which tiles, in which order, balanced, cut, batched; and bags for evaluation.

Training examples are tiles (bags of one) or images (bags of some). Evaluation gives whole images,
all tiles of the grid.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grain
import numpy as np
import pandas as pd
from jaxtyping import Float32, Int, Num, UInt8

from input_pipeline.ahead import map_ahead
from input_pipeline.features import (
    MEASURED,
    FeatureTable,
    Measured,
    feature_width,
    fit_features,
    measure_tiles,
    raw_features,
)
from input_pipeline.images import ImageError
from input_pipeline.sources import Layout, TileSource
from input_pipeline.tiles import cut, pixel_mask, random_origins, within_band
from input_pipeline.views import PLAIN, View, tiles_of_views
from input_pipeline.worker_batches import WorkerBatches

NO_LIMIT = np.iinfo(np.int64).max
# Of pictures that are being decoded, or wait for their turn.
_AHEAD_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class TileIndex:
    """The tiles that training may use.

    Attributes:
      image_id: [tile] row in the manifest.
      number: [tile] place in the image's grid.
      measured: feature -> what it is for every tile; `edge_sum` always.
      layouts: image_id -> layout.
      dropped: [tile, 3] image_id, number and edge sum of the tiles outside the band.
      errors: image_id -> why none of its tiles is here.
    """

    image_id: Int[np.ndarray, " tile"]
    number: Int[np.ndarray, " tile"]
    measured: Measured
    layouts: Mapping[int, Layout]
    dropped: Int[np.ndarray, "dropped 3"]
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.image_id)

    @property
    def edge_sum(self) -> Int[np.ndarray, " tile"]:
        """Canny edge pixels of every tile."""
        return self.measured["edge_sum"]

    def measured_of(self, rows: np.ndarray) -> Measured:
        """Gives what was measured on some of the tiles."""
        return {name: values[rows] for name, values in self.measured.items()}


def index_tiles(
    source: TileSource,
    image_ids: Sequence[int],
    *,
    low: int,
    high: int = NO_LIMIT,
    measures: Sequence[str] = ("edge_sum",),
    threads: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> TileIndex:
    """Measures all tiles of some images and keeps those whose edge sum is in the band.

    Args:
      source: of the tiles.
      image_ids: pictures of the source.
      low, high: the band of edge pixels per tile, both ends kept.
      measures: features to measure. Without `edge_sum` all edge sums are called 0, and without
        any, only headers are read.
      threads: images looked at at once.
      progress: called with the number of images done.
    """

    def measure(image_id):
        try:
            layout = source.layout(image_id)
            measured = {"edge_sum": np.zeros(len(layout.grid.origins), np.int64)}
            if measures:
                tiles, masks = source.tiles(image_id, layout), source.pixel_masks(layout)
                measured |= measure_tiles(measures, tiles, masks)
            return layout, measured
        except ImageError as error:
            return None, str(error)

    layouts, errors, rows, parts = {}, {}, [], []
    with ThreadPoolExecutor(threads) as pool:
        for done, (image_id, (layout, found)) in enumerate(
            zip(image_ids, pool.map(measure, image_ids), strict=True), start=1
        ):
            if layout is None:
                errors[image_id] = found
            else:
                layouts[image_id] = layout
                sums = found["edge_sum"]
                ids = np.full(len(sums), image_id)
                rows.append(np.stack([ids, np.arange(len(sums)), sums], axis=1))
                parts.append(found)
            progress(done)
    table = np.concatenate(rows) if rows else np.zeros((0, 3), np.int64)
    is_kept = within_band(table[:, 2], low, high)
    measured = {"edge_sum": table[is_kept, 2]}
    for name in parts[0] if parts else ():
        measured[name] = np.concatenate([part[name] for part in parts])[is_kept]
    image_ids, numbers = table[is_kept, :2].T
    return TileIndex(image_ids, numbers, measured, layouts, table[~is_kept], errors)


def without_tiles(index: TileIndex, dropped: Collection[tuple[int, int, int]]) -> TileIndex:
    """Takes tiles out of an index.

    Args:
      index: of the tiles that training may use.
      dropped: (image_id, row, column) of tiles; those that are not in the index are nothing to it.
    """
    places = zip(index.image_id.tolist(), index.number.tolist(), strict=True)
    is_kept = np.array(
        [
            (image_id, *index.layouts[image_id].grid.positions[number].tolist()) not in dropped
            for image_id, number in places
        ],
        bool,
    )
    return dataclasses.replace(
        index,
        image_id=index.image_id[is_kept],
        number=index.number[is_kept],
        measured=index.measured_of(is_kept),
    )


def fit_index_features(
    names: Sequence[str], index: TileIndex, images: pd.DataFrame
) -> FeatureTable:
    """Fits the scaling of hand-crafted features on the tiles of an index."""
    raw = []
    for rows in rows_by_image(index):
        image_id = index.image_id[rows[0]]
        tile_count = len(index.layouts[image_id].grid.origins)
        measured, row = index.measured_of(rows), images.loc[image_id]
        raw.append(raw_features(names, measured, len(rows), tile_count, row))
    return fit_features(names, np.concatenate(raw))


def shuffled_batches(
    labels: Num[np.ndarray, " example"],
    make_bag: Callable[[int, np.random.Generator], dict[str, np.ndarray]],
    *,
    batch_size: int,
    balanced: bool,
    seed: int,
    threads: int,
    workers: int = 0,
    process: int = 0,
    processes: int = 1,
    join: Callable[[Sequence[dict]], dict[str, np.ndarray]] | None = None,
) -> grain.DatasetIterator | WorkerBatches:
    """Makes the endless stream of training batches: shuffle, balance, make, share out, batch.

    The order depends on the seed alone, and `get_state` after k batches leads back to batch k.

    Args:
      labels: of the examples.
      make_bag: number of an example and its random numbers -> the values of its bag.
      batch_size: examples per batch, over all processes.
      balanced: draw every label equally often.
      seed: of order and random numbers.
      threads: that make bags.
      workers: processes that make batches instead, if not 0.
      process, processes: this process makes that part of every batch.
      join: makes one batch of what was made of its examples; by default their values are stacked.
    """

    def shuffled(examples, salt):
        return grain.MapDataset.source(examples).seed(seed + salt).shuffle().repeat()

    if balanced:
        parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        order = grain.MapDataset.mix([shuffled(part, salt) for salt, part in enumerate(parts)])
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


def pad_bag(values: Mapping[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Pads the values of the tiles of a bag with zeros and adds their `tile_mask`."""
    count = len(next(iter(values.values())))
    padded = {
        name: np.concatenate([value, np.zeros((length - count, *value.shape[1:]), value.dtype)])
        for name, value in values.items()
    }
    return padded | {"tile_mask": np.arange(length) < count}


# (image_id, rows of the index, random numbers) -> the values of these tiles by name, [tile, ...],
# and what was measured on them.
Reader = Callable[[int, np.ndarray, np.random.Generator], tuple[dict[str, np.ndarray], Measured]]
BagMaker = Callable[[int, np.random.Generator], dict[str, np.ndarray]]


def bag_maker(
    index: TileIndex,
    images: pd.DataFrame,
    features: FeatureTable,
    examples: Sequence[Int[np.ndarray, " row"]],
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
) -> grain.DatasetIterator:
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
    labels = images["label"].to_numpy()[index.image_id[first]]
    return shuffled_batches(labels, make_bag, **order)


def rows_by_image(index: TileIndex) -> list[Int[np.ndarray, " row"]]:
    """Gives the rows of an index, image by image."""
    _, starts = np.unique(index.image_id, return_index=True)
    return np.split(np.arange(len(index)), starts[1:])


def tile_reader(
    source: TileSource,
    index: TileIndex,
    features: FeatureTable,
    *,
    random_tiles: bool,
    low: int,
    high: int = NO_LIMIT,
) -> Reader:
    """Makes what reads tiles of the index, by the name `tiles`.

    Args:
      source: of the tiles.
      index: of the tiles that may be used.
      features: hand-crafted features that are asked for.
      random_tiles: move tiles by less than a stride; one that leaves the band is not moved.
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
        origins = random_origins(layout.height, layout.width, still, source.tiling, rng)
        image = source.image(image_id)
        tiles = cut(image, origins, size)
        if not measures:
            return {"tiles": tiles}, measured
        masks = pixel_mask(layout.height, layout.width, origins, size)
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
    low: int,
    high: int = NO_LIMIT,
    **order: Any,
) -> grain.DatasetIterator:
    """Makes the stream of training batches of bags of tiles.

    Args:
      source, random_tiles, low, high: as in `tile_reader`.
      index, images, features: as in `bag_maker`.
      **order: as in `bag_batches`.
    """
    read = tile_reader(source, index, features, random_tiles=random_tiles, low=low, high=high)
    return bag_batches(index, images, features, read, **order)


@dataclasses.dataclass(frozen=True)
class Bag:
    """All tiles of one image, or the next of them, or why there are none.

    Attributes:
      image_id: place in the source.
      tiles: [tile, size, size, 3] uint8.
      features: [tile, feature].
      layout: of the image; None with an error.
      error: a sentence, or empty.
      embeddings: [tile, dim], where they are known and `tiles` is empty.
      view: which of the views of its image this is, counted from 0.
      is_last: False if the next bag goes on with the tiles of this image.
    """

    image_id: int
    tiles: UInt8[np.ndarray, "tile size size 3"]
    features: Float32[np.ndarray, "tile feature"]
    layout: Layout | None
    error: str = ""
    embeddings: Float32[np.ndarray, "tile dim"] | None = None
    view: int = 0
    is_last: bool = True


def whole_bags(
    source: TileSource,
    image_ids: Sequence[int],
    features: FeatureTable,
    images: pd.DataFrame | None = None,
    *,
    threads: int,
    views: Sequence[View] = (PLAIN,),
) -> Iterator[Bag]:
    """Gives whole images in the given order, decoded ahead by threads; a bad one is a bag too.

    Images that the source reads by bands come as several bags, one per row of their grid.

    Args:
      source: of the tiles.
      image_ids: which pictures.
      features: hand-crafted features to compute.
      images: the manifest's images, if features are columns of it.
      threads: images decoded at once, as far as memory allows.
      views: looks at every image, each a bag of its own, one after the other; a bad image is one
        bag all the same.
    """
    size = source.tiling.size

    def lay_out(image_id):
        try:
            layout = source.layout(image_id)
            is_plain = all(view == PLAIN for view in views)
            return image_id, layout, source.pieces(image_id, layout) if is_plain else [None]
        except ImageError as error:
            return image_id, error, [None]

    def make_bags(piece):
        image_id, layout, chosen, is_last = piece
        try:
            if isinstance(layout, ImageError):
                raise layout
            if chosen is None:
                looks = tiles_of_views(source, image_id, layout, views)
            else:
                looks = [(source.tiles(image_id, layout, chosen), layout)]
        except ImageError as error:
            nothing = np.zeros((0, size, size, 3), np.uint8)
            no_features = np.zeros((0, feature_width(features.names)), np.float32)
            return [Bag(image_id, nothing, no_features, None, str(error), is_last=is_last)]
        row = images.loc[image_id] if images is not None else {}
        bags = []
        for view, (tiles, layout) in enumerate(looks):
            measured = {}
            if features.names:
                masks = source.pixel_masks(layout, chosen)
                measured = measure_tiles(features.names, tiles, masks)
            values = features(measured, len(tiles), len(layout.grid.origins), row)
            bags.append(Bag(image_id, tiles, values, layout, view=view, is_last=is_last))
        return bags

    def pieces():
        for image_id, layout, parts in map_ahead(lay_out, map(int, image_ids), threads=threads):
            for number, chosen in enumerate(parts, start=1):
                yield image_id, layout, chosen, number == len(parts)

    weigh = partial(_piece_bytes, views=len(views), shrink=source.tiling.shrink)
    for bags in map_ahead(make_bags, pieces(), threads=threads, weigh=weigh, most=_AHEAD_BYTES):
        yield from bags


def _piece_bytes(
    piece: tuple[int, Layout | ImageError, np.ndarray | None, bool], views: int, shrink: int
) -> int:
    """Estimates the memory that a piece takes: three copies in the decoder, and its tiles.

    The first copy may be of the size that the file has.
    """
    _, layout, chosen, _ = piece
    if isinstance(layout, ImageError):
        return 0
    share = 1 if chosen is None else len(chosen) / len(layout.grid.origins)
    return int(3 * layout.height * layout.width * share * (shrink**2 + 2 + views))


def moved_bag(source: TileSource, bag: Bag, rng: np.random.Generator) -> Bag:
    """Gives a bag's image again, its tiles moved at random and mirrored alike."""
    tiles, layout = bag.tiles, bag.layout
    if not source.is_cut(bag.image_id):
        sides = (layout.height, layout.width)
        origins = random_origins(*sides, layout.grid.origins, source.tiling, rng)
        tiles = cut(source.image(bag.image_id), origins, source.tiling.size)
    return dataclasses.replace(bag, tiles=tiles[:, :, :: -1 if rng.random() < 0.5 else 1])
