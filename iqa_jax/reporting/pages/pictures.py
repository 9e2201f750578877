"""Images of the report with what their tiles said drawn on them."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw

from iqa_jax.reporting.pages.colours import score_colours

# Every picture is drawn on a canvas of this longer side, so that lines and numbers have one size.
CANVAS_SIDE = 480
# Tiles closer together than this have no room for their numbers, or for outlines.
_NUMBER_SIDE = 40
_OUTLINE_SIDE = 8


@dataclass(frozen=True)
class Example:
    """An image and what its tiles said.

    `image` may already be a thumbnail (see `thumbnail`): tile origins (row, column of the upper
    left corner) and `tile_size` are in pixels of the original, whose height and width are `size`.
    `predicted` is the class it was given, empty where there are no classes. `maps` are pictures of
    the whole image with a heat-map over it, by what they show; they may be smaller than the image.
    `label` is empty where it was given none. `note` is what else to say of it.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    size: tuple[int, int]
    origins: Int[np.ndarray, "tile 2"]
    tile_size: int
    tile_scores: Float[np.ndarray, " tile"]
    score: float
    label: str
    predicted: str
    maps: Mapping[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class TileNumber:
    """The score of a tile as text, and where its middle is on the canvas."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Picture:
    """An example ready for the page: the photo, what lies over it, and the tiles' numbers."""

    example: Example
    height: int
    width: int
    photo: str
    maps: dict[str, str]
    overlay: str
    numbers: list[TileNumber]
    font_size: int
    caption: str


def thumbnail(
    image: UInt8[np.ndarray, "height width 3"], side: int = CANVAS_SIDE
) -> UInt8[np.ndarray, "h w 3"]:
    """Shrinks an image, so that many fit in memory and report.

    Args:
        image: RGB, 0 to 255.
        side: the most pixels that its longer side may keep.

    Returns:
        The shrunk copy, or the image itself where it is small enough.
    """
    if max(image.shape[:2]) <= side:
        return image
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def photo_uri(image: UInt8[np.ndarray, "height width 3"], side: int = CANVAS_SIDE) -> str:
    """Gives an image as a data URI of a JPEG, shrunk where it is larger than `side`."""
    return _data_uri(Image.fromarray(thumbnail(image, side)), "JPEG", quality=78)


def draw_picture(example: Example, score_range: tuple[float, float]) -> Picture:
    """Draws the tiles of an example in the colours of their scores.

    Overlapping tiles would hide one another: each is drawn as the square around its middle that
    its neighbours leave free.

    Args:
        example: the image and its tiles, as many as there may be.
        score_range: worst and best score, the ends of the colours.

    Returns:
        The photo (JPEG) and the tiles (PNG) as data URIs, and the numbers where they have room.

    Raises:
        ValueError: the number of scores is not that of the tiles.
    """
    scores = np.asarray(example.tile_scores, dtype=float)
    origins = np.asarray(example.origins).reshape(-1, 2)
    if len(origins) != len(scores):
        raise ValueError(f"{example.name}: {len(scores)} tile scores for {len(origins)} tiles.")
    scale = CANVAS_SIDE / max(example.size)
    canvas = np.maximum(np.round(np.array(example.size) * scale), 1)
    gaps = [gap for axis in range(2) if len(gap := np.diff(np.unique(origins[:, axis])))]
    cell = min([example.tile_size] + [np.median(gap) for gap in gaps])
    closest = min([cell] + [gap.min() for gap in gaps]) * scale
    start = (origins + (example.tile_size - cell) / 2) * scale
    # A tile that reaches over the edge of a small image ends there.
    stop = np.minimum(start + cell * scale, canvas)

    overlay = Image.new("RGBA", (int(canvas[1]), int(canvas[0])))
    draw = ImageDraw.Draw(overlay)
    colours = score_colours(scores, score_range)
    for (top, left), (bottom, right), colour in zip(start, stop, colours, strict=True):
        rgb = tuple(round(255 * part) for part in to_rgb(colour))
        outline = (*rgb, 235) if closest >= _OUTLINE_SIDE else None
        left, top = round(left), round(top)
        box = (left, top, max(left, round(right) - 1), max(top, round(bottom) - 1))
        draw.rectangle(box, fill=(*rgb, 60 if outline else 120), outline=outline, width=2)

    decimals = 2 if abs(score_range[1] - score_range[0]) <= 10 else 0
    texts = [f"{score:.{decimals}f}" for score in scores]
    numbers = []
    if closest >= _NUMBER_SIDE:
        middles = ((start + stop) / 2).round(1).tolist()
        numbers = [TileNumber(x, y, text) for (y, x), text in zip(middles, texts, strict=True)]
    return Picture(
        example=example,
        height=int(canvas[0]),
        width=int(canvas[1]),
        photo=photo_uri(example.image),
        maps={name: photo_uri(picture) for name, picture in example.maps.items()},
        overlay=_data_uri(overlay, "PNG"),
        numbers=numbers,
        font_size=round(min(max(0.33 * closest, 13), 20)),
        caption=_caption(scores, texts, is_overlapping=cell < example.tile_size),
    )


def _caption(scores: np.ndarray, texts: list[str], is_overlapping: bool) -> str:
    if len(scores) < 2:
        return f"one tile, {texts[0]}" if texts else ""
    overlap = ", overlapping: each drawn at its middle" if is_overlapping else ""
    return f"{len(texts)} tiles, {texts[scores.argmin()]} to {texts[scores.argmax()]}{overlap}"


def _data_uri(image: Image.Image, kind: str, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
