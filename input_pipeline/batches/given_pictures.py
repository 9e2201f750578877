"""Pictures that a Python program hands over: paths, arrays and Pillow images, one or many."""

import os
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from PIL import Image

from input_pipeline.batches.listing import Input
from input_pipeline.files.file_names import name_text
from input_pipeline.files.images import ImageError, from_pillow
from input_pipeline.tiles.sources import Picture

# One of these; many are any iterable of them.
GivenPicture = str | os.PathLike | np.ndarray | Image.Image


def check_pictures(pictures: Iterable[GivenPicture | Input]) -> None:
    """Refuses what is no collection of pictures, before any of them is scored.

    Pictures of an iterator cannot be looked at twice; each is checked when its turn comes.

    Raises:
        TypeError, ValueError: this is one picture, or an element is none; says which.
    """
    is_one = isinstance(pictures, (str, bytes, os.PathLike, Image.Image))
    if is_one or getattr(pictures, "ndim", 1) in (0, 2, 3) or not isinstance(pictures, Iterable):
        raise TypeError("give a list of pictures, even for one: scorer.score([picture]).")
    if isinstance(pictures, Collection):
        for place, picture in enumerate(pictures):
            check_picture(picture, place)


def check_picture(picture: GivenPicture | Input, place: int) -> None:
    """Refuses what is no picture, by the number of its place among others.

    Raises:
        TypeError, ValueError: with a sentence.
    """
    if isinstance(picture, (str, os.PathLike, Image.Image, Input)):
        return
    if not isinstance(picture, np.ndarray):
        raise TypeError(
            f"picture {place} is of type {type(picture).__name__}; give a path, an RGB uint8 array "
            "or a Pillow image."
        )
    what = f"picture {place} is an array of {picture.dtype} with shape {picture.shape}"
    if picture.dtype != np.uint8:
        raise TypeError(f"{what}; give uint8 RGB values from 0 to 255.")
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"{what}; give [height, width, 3] in RGB order.")


def make_inputs(pictures: Iterable[GivenPicture | Input], max_pixels: int) -> Iterator[Input]:
    """Makes the inputs of pictures one by one, as they are asked for.

    Args:
        pictures: of any number; inputs stay as they are.
        max_pixels: larger Pillow images are refused.

    Yields:
        Inputs; the name of a picture that is no path is empty.

    Raises:
        TypeError, ValueError: an element is no picture; says which.
    """
    for place, given in enumerate(pictures):
        if isinstance(given, Input):
            yield given
            continue
        picture = read_given(given, place, max_pixels)
        is_path = isinstance(given, (str, os.PathLike))
        yield Input(name_text(os.fsdecode(given)) if is_path else "", picture)


def read_given(given: GivenPicture, place: int, max_pixels: int) -> Picture:
    """Turns a picture that was handed over into one that can be cut into tiles.

    Pillow images are converted as files are: see `images.decode`.

    Args:
        given: a path, an RGB array [height, width, 3] uint8, or a Pillow image.
        place: its number among others, for messages.
        max_pixels: larger Pillow images are refused.

    Returns:
        The path, the pixels, or an `ImageError` that says why there are none.

    Raises:
        TypeError, ValueError: it is no picture.
    """
    check_picture(given, place)
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, Image.Image):
        try:
            return from_pillow(given, max_pixels=max_pixels, name=f"picture {place}")
        except ImageError as error:
            return error
    path = os.fsdecode(given)
    try:
        is_name = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_name = False
    return path if is_name else ImageError(f"{path}: no file can have this name; check the path.")
