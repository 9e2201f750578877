"""Whole images for evaluation: all tiles of the grid, or of its views."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int, UInt8

from input_pipeline.batches.ahead import map_ahead
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.faults import Measured, measure
from input_pipeline.tiles.features import FeatureTable, feature_width, measure_tiles
from input_pipeline.tiles.sources import Layout, TileSource
from input_pipeline.tiles.tiling import cut, random_origins
from input_pipeline.tiles.views import PLAIN, View, tiles_of_views

# Of pictures that are being decoded, or wait for their turn.
_AHEAD_BYTES = 256 << 20


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
        warning: what is wrong with the picture all the same; empty if nothing is.
        measured: of the image, if that was asked for and it is decoded whole.
    """

    image_id: int
    tiles: UInt8[np.ndarray, "cut size size 3"]
    features: Float32[np.ndarray, "tile feature"]
    layout: Layout | None
    error: str = ""
    embeddings: Float32[np.ndarray, "tile dim"] | None = None
    view: int = 0
    is_last: bool = True
    warning: str = ""
    measured: Measured = Measured()


def whole_bags(
    source: TileSource,
    image_ids: Iterable[int] | Int[np.ndarray, " image"],
    features: FeatureTable,
    images: pd.DataFrame | None = None,
    *,
    threads: int,
    views: Sequence[View] = (PLAIN,),
    is_measured: bool = False,
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
        is_measured: images are measured too, by the threads that decode them.
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
                looks, image = tiles_of_views(source, image_id, layout, views)
            else:
                looks, image = [(source.tiles(image_id, layout, chosen), layout)], None
        except ImageError as error:
            nothing = np.zeros((0, size, size, 3), np.uint8)
            no_features = np.zeros((0, feature_width(features.names)), np.float32)
            return [Bag(image_id, nothing, no_features, None, str(error), is_last=is_last)]
        row = images.loc[image_id] if images is not None else {}
        bags, warning = [], source.warning(image_id)
        of_image = Measured() if image is None or not is_measured else measure(image)
        for view, (tiles, layout) in enumerate(looks):
            measured = {}
            if features.names:
                masks = source.pixel_masks(layout, chosen)
                measured = measure_tiles(features.names, tiles, masks)
            values = features(measured, len(tiles), len(layout.grid.origins), row)
            about = {"view": view, "is_last": is_last, "warning": warning}
            bags.append(Bag(image_id, tiles, values, layout, measured=of_image, **about))
        return bags

    def pieces():
        for image_id, layout, parts in map_ahead(lay_out, map(int, image_ids), threads=threads):
            for number, chosen in enumerate(parts, start=1):
                yield image_id, layout, chosen, number == len(parts)

    weigh = partial(_piece_bytes, views=len(views))
    for bags in map_ahead(make_bags, pieces(), threads=threads, weigh=weigh, most=_AHEAD_BYTES):
        yield from bags


def _piece_bytes(
    piece: tuple[int, Layout | ImageError, np.ndarray | None, bool], views: int
) -> int:
    """Estimates the memory that a piece takes: three copies in the decoder, and its tiles.

    The first copy is of the size that is read, before the picture is made smaller.
    """
    _, layout, chosen, _ = piece
    if isinstance(layout, ImageError):
        return 0
    share = 1 if chosen is None else len(chosen) / len(layout.grid.origins)
    pixels = layout.read_pixels + layout.height * layout.width * (2 + views)
    return int(3 * pixels * share)


def moved_bag(source: TileSource, bag: Bag, rng: np.random.Generator) -> Bag:
    """Gives a bag's image again, its tiles moved at random and mirrored alike."""
    tiles, layout = bag.tiles, bag.layout
    assert layout is not None, bag.error
    if not source.is_cut(bag.image_id):
        sides = (layout.height, layout.width)
        origins = random_origins(*sides, layout.grid.origins, source.tiling, rng)
        tiles = cut(source.image(bag.image_id), origins, source.tiling.size)
    return dataclasses.replace(bag, tiles=tiles[:, :, :: -1 if rng.random() < 0.5 else 1])


def pad_bag(values: Mapping[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Pads the values of the tiles of a bag with zeros and adds their `tile_mask`."""
    count = len(next(iter(values.values())))
    padded = {
        name: np.concatenate([value, np.zeros((length - count, *value.shape[1:]), value.dtype)])
        for name, value in values.items()
    }
    return padded | {"tile_mask": np.arange(length) < count}
