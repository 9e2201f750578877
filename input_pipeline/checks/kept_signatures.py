"""Signatures of a manifest's pictures, kept on disk from one start to the next.

One file per manifest holds a row per picture, found by the path, size and time of its file, so that
a start that finds nothing new reads no picture.
"""

import hashlib
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Int, Shaped, UInt8

from input_pipeline.checks.signatures import SIGNATURE, VERSION, sign_picture, unknown_signature
from input_pipeline.files.images import DECODING, ImageError, decode, read_header
from input_pipeline.files.prepared import TABLE, is_prepared, open_file
from input_pipeline.files.reduction import SHRINKS, Reduction
from input_pipeline.tables.manifest import Manifest

# A larger picture is decoded smaller, which spares most of the work.
_LEAST_SIDE = 256
# Side of a tile in the picture that is put together of tiles already cut.
_TILE_SIDE = 32
_KEPT_EVERY = 5000
_KEPT = np.dtype([("key", "S32"), ("signature", SIGNATURE)])


class _Files(NamedTuple):
    """What a picture is made of: a file, or tiles and their places in its grid."""

    paths: tuple[str, ...]
    places: Int[np.ndarray, "tile 2"] | None


class KeptSignatures:
    """The signatures of a manifest's pictures: those that are known, and those to be made.

    Args:
        manifest: of the pictures.
        folder: where signatures are kept.
        max_pixels: a larger picture has none.

    Attributes:
        missing: image_id of the pictures that are still to be read.
    """

    def __init__(self, manifest: Manifest, folder: str | os.PathLike, max_pixels: int):
        self._files, self._max_pixels = _files_of(manifest), max_pixels
        name = hashlib.sha256(os.fsencode(os.path.realpath(manifest.path))).hexdigest()[:32]
        self._path = Path(folder) / f"{name}.npy"
        self._keys = [_key_of(files, max_pixels) for files in self._files]
        kept = _read(self._path)
        rows = {key: row for row, key in enumerate(kept["key"].tolist())}
        row_of = np.array([rows.get(key, -1) for key in self._keys], np.int64)
        self._signatures = np.full(len(self._files), unknown_signature(), SIGNATURE)
        self._signatures[row_of >= 0] = kept["signature"][row_of[row_of >= 0]]
        self._is_made = row_of >= 0
        self.missing = np.flatnonzero(row_of < 0).tolist()

    def make(self, threads: int, progress: Callable[[int], None]) -> None:
        """Reads the pictures that are missing; `progress` is told how many are done."""
        with ThreadPoolExecutor(threads) as pool:
            made = pool.map(lambda image_id: self._sign(self._files[image_id]), self.missing)
            for done, (image_id, signature) in enumerate(
                zip(self.missing, made, strict=True), start=1
            ):
                self._signatures[image_id], self._is_made[image_id] = signature, True
                progress(done)
                if done % _KEPT_EVERY == 0 or done == len(self.missing):
                    self._keep()
        self.missing = []

    @property
    def signatures(self) -> Shaped[np.ndarray, " image"]:
        """The signature of each image; of one that cannot be read, that of nothing."""
        return self._signatures

    def _sign(self, files: _Files) -> np.void:
        digest = hashlib.sha256()
        try:
            pictures = [self._decode(path, digest) for path in files.paths]
        except (OSError, ImageError):
            return unknown_signature()  # Whoever needs the picture says what is wrong with it.
        picture = pictures[0] if files.places is None else _join(pictures, files.places)
        return sign_picture(picture, digest.digest())

    def _decode(self, path: str, digest) -> UInt8[np.ndarray, "height width 3"]:
        height, width, _ = read_header(path, max_pixels=self._max_pixels)
        side = min(height, width)
        shrink = max(shrink for shrink in SHRINKS if shrink == 1 or side // shrink >= _LEAST_SIDE)
        with open_file(path) as file:
            data = file.read()
        digest.update(data)
        return decode(data, max_pixels=self._max_pixels, reduction=Reduction(shrink), name=path)

    def _keep(self) -> None:
        chosen = [row for row in np.flatnonzero(self._is_made) if self._keys[row]]
        kept = np.zeros(len(chosen), _KEPT)
        kept["key"] = [self._keys[row] for row in chosen]
        kept["signature"] = self._signatures[chosen]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}.part")
        with part.open("wb") as file:
            np.save(file, kept)
        part.replace(self._path)


def _files_of(manifest: Manifest) -> list[_Files]:
    """Lists what each image of a manifest is made of, in the order of image_id."""
    if manifest.tiles is None:
        return [_Files((path,), None) for path in manifest.images["path"]]
    return [
        _Files(tuple(rows["path"]), rows[["row", "column"]].to_numpy())
        for _, rows in manifest.tiles.groupby("image_id", sort=True)
    ]


def _key_of(files: _Files, max_pixels: int) -> bytes:
    """Names what a signature is of, by the files as they are now; empty where one is gone."""
    digest = hashlib.sha256(repr((VERSION, DECODING, max_pixels)).encode())
    for path in files.paths:
        # Of a record of a prepared data set, the table is written after all records.
        folder = os.path.dirname(path)
        file = os.path.join(folder, TABLE) if is_prepared(Path(folder)) else path
        try:
            found = os.stat(file)
        except (OSError, ValueError):
            return b""
        digest.update(os.fsencode(path) + repr((found.st_size, found.st_mtime_ns)).encode())
    if files.places is not None:
        digest.update(files.places.astype(np.int64).tobytes())
    return digest.hexdigest()[:32].encode()


def _read(path: Path) -> Shaped[np.ndarray, " row"]:
    """Reads what was kept; a file that is damaged, or of another version, holds nothing."""
    try:
        kept = np.load(path)
    except (OSError, ValueError, EOFError):
        return np.zeros(0, _KEPT)
    return kept if kept.dtype == _KEPT else np.zeros(0, _KEPT)


def _join(
    tiles: list[UInt8[np.ndarray, "height width 3"]], places: Int[np.ndarray, "tile 2"]
) -> UInt8[np.ndarray, "small_height small_width 3"]:
    """Puts a small picture together of the tiles of one."""
    rows, columns = places.max(axis=0) + 1
    small = np.zeros((rows, _TILE_SIDE, columns, _TILE_SIDE, 3), np.uint8)
    for tile, (row, column) in zip(tiles, places, strict=True):
        size = (_TILE_SIDE, _TILE_SIDE)
        small[row, :, column] = cv2.resize(tile, size, interpolation=cv2.INTER_AREA)
    return small.reshape(rows * _TILE_SIDE, columns * _TILE_SIDE, 3)
