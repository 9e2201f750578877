"""A picture of many tiles side by side, for people to look a choice over."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

_SIDE = 96
_CAPTION = 14
COLUMNS = 12


def write_contact_sheet(
    path: Path, rows: Sequence[tuple[str, UInt8[np.ndarray, "tile s s 3"], Sequence[str]]]
) -> None:
    """Writes rows of tiles as a PNG.

    Args:
        path: the file.
        rows: heading, tiles, and a caption per tile; only the first dozen tiles are shown.
    """
    height = sum(2 * _CAPTION + _SIDE for _ in rows)
    sheet = Image.new("RGB", (COLUMNS * (_SIDE + 4), height), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for heading, tiles, captions in rows:
        draw.text((2, top), heading, fill="black")
        for column, (tile, caption) in enumerate(zip(tiles[:COLUMNS], captions, strict=False)):
            left = column * (_SIDE + 4)
            sheet.paste(Image.fromarray(tile).resize((_SIDE, _SIDE)), (left, top + _CAPTION))
            draw.text((left + 2, top + _CAPTION + _SIDE), caption, fill="black")
        top += 2 * _CAPTION + _SIDE
    sheet.save(path)
