"""The sheet of the edge filter shows what was dropped and what was just kept, with its count."""

import numpy as np
import pytest

from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import index_tiles
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.reporting import edge_filter


@pytest.fixture(scope="module")
def source():
    """Sixteen tiles, of which each is a step brighter and has more lines than the one before."""
    picture = np.zeros((32, 16 * 32, 3), np.uint8)
    for number in range(16):
        picture[:, 32 * number : 32 * number + 32] = number
        for line in range(number // 2):
            picture[4 * line + 2 : 4 * line + 3, 32 * number + 4 : 32 * number + 28] = 255
    return TileSource([picture], Tiling(32, 32), max_pixels=10**6)


def test_rows_are_the_dropped_and_the_borderline(source, monkeypatch, tmp_path):
    written = {}
    monkeypatch.setattr(
        edge_filter, "write_contact_sheet", lambda path, rows: written.update(path=path, rows=rows)
    )
    sums = index_tiles(source, [0], low=0, threads=1).edge_sum
    low, high = int(np.sort(sums)[4]), int(np.sort(sums)[-3])
    index = index_tiles(source, [0], low=low, high=high, threads=1)
    edge_filter.draw_edge_filter(tmp_path / "sheet.png", source, index, low, high)
    flat, busy = (sums < low).sum(), (sums > high).sum()
    headings = [heading for heading, _, _ in written["rows"]]
    expected = [f"dropped: fewer than {low} edge pixels ({flat} in all)"] if flat else []
    expected += ["kept: the flattest", "kept: the busiest"]
    expected += [f"dropped: more than {high} edge pixels ({busy} in all)"] if busy else []
    assert headings == expected and flat + busy
    for heading, tiles, captions in written["rows"]:
        edges = [int(caption) for caption in captions]
        assert edges == sorted(edges) and len(tiles) == len(edges) <= 12
        # The brightness of its ground says which tile it is.
        assert [sums[int(tile[0, 0, 0])] for tile in tiles] == edges, heading
    kept = dict((heading, captions) for heading, _, captions in written["rows"])
    assert kept["kept: the flattest"][0] == str(low)
    assert kept["kept: the busiest"][-1] == str(high)


def test_the_sheet_is_a_picture(source, tmp_path):
    index = index_tiles(source, [0], low=0, threads=1)
    edge_filter.draw_edge_filter(tmp_path / "sheet.png", source, index, 0, 10**6)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
