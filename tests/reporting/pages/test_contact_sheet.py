"""Tiles stand side by side under their heading, each row below the one before."""

import numpy as np
from PIL import Image

from iqa_jax.reporting.pages.contact_sheet import COLUMNS, write_contact_sheet


def test_every_tile_is_at_its_place_and_only_a_dozen_are_shown(tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 200, (2, COLUMNS + 3, 3))
    rows = [
        (heading, np.tile(row[:, None, None], (1, 8, 8, 1)).astype(np.uint8), ["7"] * len(row))
        for heading, row in zip(("first", "second"), colours[:, : COLUMNS + 3], strict=True)
    ]
    rows[1] = (rows[1][0], rows[1][1][:2], rows[1][2][:2])
    write_contact_sheet(tmp_path / "sheet.png", rows)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    side, caption = 96, 14
    assert sheet.shape == (2 * (side + 2 * caption), COLUMNS * (side + 4), 3)
    for row, count in ((0, COLUMNS), (1, 2)):
        top = row * (side + 2 * caption) + caption
        for column in range(count):
            part = sheet[top : top + side, column * (side + 4) :][:, :side]
            assert (part == colours[row, column]).all()
    assert (sheet[side + 3 * caption :, 2 * (side + 4) :][:side] == 255).all()
    # The caption is written below its tile.
    assert (sheet[caption + side : 2 * caption + side, :side] < 128).any()
