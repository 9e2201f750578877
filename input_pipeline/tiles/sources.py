"""Where the tiles of an image come from: a file, tiles already cut, or pixels in memory."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

from input_pipeline.distortions.catalogue import distort
from input_pipeline.files.images import ImageError, Warn, load, read_header
from input_pipeline.files.prepared import open_file
from input_pipeline.files.windows import BandReader, open_bands
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.tiling import Grid, Tiling, cut, grid, needed_rows, pixel_mask


class CutTiles(NamedTuple):
    """An image that is given as the files of its tiles.

    Attributes:
        paths: one file per tile.
        positions: [tile, 2] row and column in the image's grid.
    """

    paths: tuple[str, ...]
    positions: Int[np.ndarray, "tile 2"]


class Version(NamedTuple):
    """A degraded photograph, or the middle of one, which is made when it is asked for.

    The photograph is made smaller before it is degraded.

    Attributes:
        path: of the photograph.
        distortion: a key of `DISTORTIONS`; empty with level 0.
        level: 0 (as it is) to 5.
        seed: of the distortion's random numbers.
        crop: largest side in pixels; what is beyond, evenly around the middle, is left out.
    """

    path: str
    distortion: str
    level: int
    seed: tuple[int, ...]
    crop: int


class Layout(NamedTuple):
    """How one image is cut.

    Attributes:
        grid: its tiles.
        height, width: in pixels, once it has been made smaller.
        read_pixels: how many are held when it is read, before it is made smaller.
    """

    grid: Grid
    height: int
    width: int
    read_pixels: int


# An ImageError says why there is no picture where there should be one.
Picture = str | Path | np.ndarray | CutTiles | Version | ImageError


class TileSource:
    """Gives the tiles of pictures, decoding each file as seldom as memory allows.

    Safe to use from several threads.

    Args:
        pictures: paths, RGB arrays [height, width, 3] uint8, tiles already cut, or versions.
        tiling: how to cut; tiles already cut are not made smaller.
        max_pixels: larger images are refused.
        cache_bytes: decoded images kept, least recently used dropped first.
        whole_pixels: larger images are read by bands of rows where their format allows it, and then
            may have more than `max_pixels`; None to read all images whole.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        tiling: Tiling,
        *,
        max_pixels: int,
        cache_bytes: int = 0,
        whole_pixels: int | None = None,
    ):
        self.tiling = tiling
        self._pictures = pictures
        self._max_pixels = max_pixels
        self._whole_pixels = whole_pixels
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cached = 0
        # Path -> what was remarked when it was read; as the keys of a dict, in their order.
        self._warnings: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        # Another process decodes for itself.
        return self.__dict__ | {"_cache": OrderedDict(), "_cached": 0, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}

    def __len__(self) -> int:
        return len(self._pictures)

    def is_cut(self, index: int) -> bool:
        """Says whether a picture is given as tiles already cut."""
        return isinstance(self._pictures[index], CutTiles)

    def layout(self, index: int) -> Layout:
        """Lays a picture out from its header, without decoding it.

        Raises:
            ImageError: the file cannot be read.
        """
        picture = self._pictures[index]
        if isinstance(picture, CutTiles):
            rows, columns = (picture.positions.max(axis=0) + 1).tolist()
            size = self.tiling.size
            origins = (picture.positions * size).astype(np.int32)
            laid_out = Grid(origins, picture.positions, (rows, columns))
            return Layout(laid_out, rows * size, columns * size, len(origins) * size**2)
        if isinstance(picture, ImageError):
            raise picture
        reduction, shrink = self.tiling.reduction, 1
        if isinstance(picture, np.ndarray):
            height, width = picture.shape[:2]
        elif bands := self._bands(index):
            height, width = bands.height, bands.width
        else:
            path = picture.path if isinstance(picture, Version) else picture
            height, width, has_scales = read_header(path, max_pixels=self._max_pixels)
            shrink = reduction.codec_shrink(height, width) if has_scales else 1
        read_pixels = height * width // shrink**2
        height, width = reduction.sides(height, width)
        if isinstance(picture, Version):
            height, width = min(height, picture.crop), min(width, picture.crop)
        return Layout(grid(height, width, self.tiling), height, width, read_pixels)

    def pieces(self, index: int, layout: Layout) -> Sequence[Int[np.ndarray, " tile"] | None]:
        """Says which tiles to cut at a time: those of a row of the grid, or None for all."""
        if self._bands(index) is None:
            return [None]
        numbers = np.arange(len(layout.grid.origins))
        return np.split(numbers, layout.grid.shape[0])

    def tiles(
        self, index: int, layout: Layout, chosen: Int[np.ndarray, " tile"] | None = None
    ) -> UInt8[np.ndarray, "tile size size 3"]:
        """Cuts tiles of the grid.

        Args:
            index: of the picture.
            layout: the picture's.
            chosen: numbers of the tiles in the grid; None for all.

        Raises:
            ImageError: a file cannot be read or a tile file is larger than a tile.
        """
        chosen = np.arange(len(layout.grid.origins)) if chosen is None else chosen
        picture = self._pictures[index]
        if isinstance(picture, CutTiles):
            return np.stack([self._load_tile(picture.paths[number]) for number in chosen])
        origins, size = layout.grid.origins[chosen], self.tiling.size
        if isinstance(picture, (str, Path)) and (bands := self._bands(index)):
            top, bottom = needed_rows(layout.height, origins, size)
            warn = self._warn_of(picture)
            rows = bands.read_reduced(self.tiling.reduction, top, bottom, warn)
            return cut(rows, origins - (top, 0), size)
        return cut(self._pixels(index), origins, size)

    def pixel_masks(
        self, layout: Layout, chosen: Int[np.ndarray, " tile"] | None = None
    ) -> Bool[np.ndarray, "tile size size"]:
        """Tells the pixels of each tile that are in the image from padding.

        Args:
            As `tiles`.
        """
        origins = layout.grid.origins if chosen is None else layout.grid.origins[chosen]
        return pixel_mask(layout.height, layout.width, origins, self.tiling.size)

    def image(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """Gives a whole picture, put together from its tiles where it is given so."""
        picture = self._pictures[index]
        if not isinstance(picture, CutTiles):
            return self._pixels(index)
        layout, size = self.layout(index), self.tiling.size
        image = np.zeros((layout.height, layout.width, 3), np.uint8)
        for (top, left), tile in zip(layout.grid.origins, self.tiles(index, layout), strict=True):
            image[top : top + size, left : left + size] = tile
        return image

    def warning(self, index: int) -> str:
        """Says what is wrong with a picture that was read all the same; empty if nothing is.

        Only what has been read is known: ask after the tiles or the image.
        """
        picture = self._pictures[index]
        is_cut = isinstance(picture, CutTiles)
        with self._lock:
            found = [
                f"{path}: {sentence}" if is_cut else sentence
                for path in _files_of(picture)
                for sentence in self._warnings.get(str(path), ())
            ]
        return " ".join(found)

    def content(self, index: int) -> str:
        """Hashes what a picture is made of: its pixels' file, or its tiles' files and places.

        Raises:
            ImageError: a file cannot be read.
        """
        picture, digest = self._pictures[index], hashlib.sha256()
        if isinstance(picture, np.ndarray):
            digest.update(repr(picture.shape).encode() + picture.tobytes())
            return digest.hexdigest()
        if isinstance(picture, ImageError):
            raise picture
        if isinstance(picture, Version):
            digest.update(repr(picture[1:]).encode())
        for path in _files_of(picture):
            try:
                with open_file(path) as file:
                    # In pieces: a file may be larger than memory.
                    while part := file.read(1 << 20):
                        digest.update(part)
            except OSError as error:
                raise ImageError(f"{path}: cannot be read: {error.strerror or error}.") from error
        if isinstance(picture, CutTiles):
            digest.update(picture.positions.tobytes())
        return digest.hexdigest()

    def _warn_of(self, path: str | Path) -> Warn:
        def warn(sentence):
            with self._lock:
                self._warnings.setdefault(str(path), {})[sentence] = None

        return warn

    def _load_tile(self, path: str) -> np.ndarray:
        tile = load(path, max_pixels=self._max_pixels, warn=self._warn_of(path))
        size = self.tiling.size
        if max(tile.shape[:2]) > size:
            raise ImageError(
                f"{path}: this tile is {tile.shape[0]}×{tile.shape[1]} pixels, larger than "
                f"tiles.size = {size}; set tiles.size to the size of the tile files."
            )
        return cut(tile, np.zeros((1, 2), np.int32), size)[0]

    def _bands(self, index: int) -> BandReader | None:
        picture = self._pictures[index]
        if self._whole_pixels is None or not isinstance(picture, (str, Path)):
            return None
        return open_bands(picture, self._whole_pixels)

    def _pixels(self, index: int) -> np.ndarray:
        picture = self._pictures[index]
        if isinstance(picture, np.ndarray):
            return self.tiling.reduction.apply(picture)
        if isinstance(picture, Version):
            return _degrade(self._decode(picture.path), picture)
        if isinstance(picture, ImageError):
            raise picture
        assert not isinstance(picture, CutTiles)
        return self._decode(picture)

    def _decode(self, path: str | Path) -> np.ndarray:
        name = str(path)
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                return self._cache[name]
        reduction, warn = self.tiling.reduction, self._warn_of(path)
        image = load(path, max_pixels=self._max_pixels, reduction=reduction, warn=warn)
        with self._lock:
            if image.nbytes <= self._cache_bytes and name not in self._cache:
                self._cache[name] = image
                self._cached += image.nbytes
                while self._cached > self._cache_bytes:
                    self._cached -= self._cache.popitem(last=False)[1].nbytes
        return image


def _files_of(picture: Picture) -> Sequence[str | Path]:
    """Names the files that a picture is read from."""
    if isinstance(picture, CutTiles):
        return picture.paths
    if isinstance(picture, Version):
        return [picture.path]
    return [picture] if isinstance(picture, (str, Path)) else []


def _degrade(photo: np.ndarray, version: Version) -> np.ndarray:
    top, left = (max(side - version.crop, 0) // 2 for side in photo.shape[:2])
    crop = np.ascontiguousarray(photo[top : top + version.crop, left : left + version.crop])
    if not version.level:
        return crop
    return distort(crop, version.distortion, version.level, np.random.default_rng(version.seed))


def pictures_of(manifest: Manifest) -> list[Picture]:
    """Lists what each image of a manifest is made of, in the order of image_id."""
    if manifest.tiles is None:
        return list(manifest.images["path"])
    return [
        CutTiles(tuple(rows["path"]), rows[["row", "column"]].to_numpy(np.int32))
        for _, rows in manifest.tiles.groupby("image_id", sort=True)
    ]
