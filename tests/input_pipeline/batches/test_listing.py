"""Lists of what to score: complete, in order, checked, and of any length."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.listing import (
    Input,
    Listing,
    inputs_of,
    is_of_tiles,
    read_inputs,
    shard_bounds,
)
from input_pipeline.files.image_files import list_images
from input_pipeline.files.images import ImageError
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError, read_columns
from input_pipeline.tiles.sources import CutTiles


def names_of(source) -> list[str]:
    return list(list_images(source))


@pytest.fixture
def folder(tmp_path):
    """Files whose order as text and as paths differs: "a" < "a.jpg", but "a.jpg" < "a/"."""
    for name in ("b.PNG", "a.jpg", "a/c.webp", "a/.hidden.jpg", "notes.md", "a b/d.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_folder_a_pattern_and_a_file(folder):
    expected = [str(folder / name) for name in ("a/c.webp", "a b/d.tif", "a.jpg", "b.PNG")]
    assert names_of(folder) == expected == [str(path) for path in sorted(map(Path, expected))]
    assert names_of(f"{folder}/**/*.*") == [*expected[:3], expected[3], str(folder / "notes.md")]
    assert names_of(str(folder / "**/*.webp")) == expected[:1]
    assert names_of(folder / "a.jpg") == [str(folder / "a.jpg")]


def test_a_text_list_has_a_row_per_line(folder):
    (folder / "list.txt").write_text("b.PNG\n\na.jpg\r\na.jpg\nmissing.jpg\n")
    names = ("b.PNG", "a.jpg", "a.jpg", "missing.jpg")
    assert names_of(folder / "list.txt") == [str(folder / name) for name in names]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    (tmp_path / "holiday [1].jpg").write_bytes(b"x")
    assert names_of(tmp_path / "holiday [1].jpg") == [str(tmp_path / "holiday [1].jpg")]


@pytest.mark.parametrize("source", ["", "nothing/**/*.jpg", "list.txt", "missing.txt"])
def test_what_holds_no_image_is_a_sentence(tmp_path, source):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(ImageError, match="[.]$"):
        list(list_images(tmp_path / source))


TABLE = pd.DataFrame(
    {
        "exposure": ["1.5", "2", "dark", "3", "4"],
        " path": ["b.png", "b.png", "c.png", "", "../é, d.png"],
    }
)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_has_an_input_per_row(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    if ending == "parquet":
        TABLE.assign(exposure=["1.5", "2", "dark", "3", "4"]).to_parquet(path)
    else:
        TABLE.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    assert read_columns(path) == ["exposure", "path"]
    with Listing(read_inputs(path, ["exposure"])) as listing:
        inputs = list(listing.read())
        assert list(listing.read(1, 3))[0] == inputs[1] and len(list(listing.read(1, 3))) == 2
    assert [one.name for one in inputs] == list(TABLE[" path"])
    assert inputs[0].features == {"exposure": 1.5}
    assert [inputs[place].picture for place in (0, 1, 4)] == [
        str(tmp_path / "b.png"), str(tmp_path / "b.png"), str(tmp_path.parent / "é, d.png"),
    ]  # fmt: skip
    # A row that is no good is an input with an error, and no reason to stop.
    assert "row 4: the feature 'exposure' is not a number: 'dark'" in str(inputs[2].picture)
    assert "row 5: the path is empty" in str(inputs[3].picture)
    assert all(isinstance(inputs[place].picture, ImageError) for place in (2, 3))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("paht\na.png\n", "no column 'path'.*did you mean 'paht'"),
        ("path\n", "no rows below its header"),
        ("", "the file is empty"),
        ("path,path\na,b\n", "'path' appears twice"),
        ("path,x\na,1\nb,c,1\n", "row 3: has 3 cells where the header has 2"),
        ('path\na\n"b\n', "after row 2: the quotes do not match"),
    ],
)
def test_a_table_of_another_kind_is_refused(tmp_path, text, sentence):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ManifestError, match=sentence):
        list(read_inputs(tmp_path / "table.csv", []))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for name in ("table.csv", "table.parquet"):
        with pytest.raises(ManifestError, match="no such file"):
            list(read_inputs(tmp_path / name, []))
        (tmp_path / name).write_bytes(b"path\n\xff\xfe")
        with pytest.raises(ManifestError, match="this is not"):
            list(read_inputs(tmp_path / name, []))


def test_tiles_already_cut_survive(tmp_path):
    path = tmp_path / "tiles.csv"
    path.write_text("path,image,row,column\nb.png,one,0,1\na.png,one,0,0\nc.png,two,0,0\n")
    assert is_of_tiles(read_columns(path))
    with Listing(inputs_of(read_manifest(path, None))) as listing:
        one, two = listing.read()
    assert (one.name, two.name) == ("one", "two") and isinstance(one.picture, CutTiles)
    assert [Path(name).name for name in one.picture.paths] == ["a.png", "b.png"]
    np.testing.assert_array_equal(one.picture.positions, [[0, 0], [0, 1]])


def test_the_digest_is_of_all_that_counts():
    base = [Input("a", "/a", {"x": 1.0}), Input("b", "/b", {"x": 2.0})]
    others = [
        base[::-1],
        base[:1],
        [base[0], base[1]._replace(name="c")],
        [base[0], base[1]._replace(picture="/c")],
        [base[0], base[1]._replace(picture=ImageError("/b"))],
        [base[0], base[1]._replace(features={"x": 3.0})],
    ]
    digests = set()
    for inputs in [base, base, *others]:
        with Listing(inputs) as listing:
            digests.add(listing.digest)
    assert len(digests) == 1 + len(others)


def test_shards_hold_every_row_once_and_in_order():
    for total in (0, 1, 7, 100):
        for shards in (1, 2, 3, 7, 13):
            bounds = [shard_bounds(total, shard, shards) for shard in range(shards)]
            assert [row for start, stop in bounds for row in range(start, stop)] == [*range(total)]
            sizes = [stop - start for start, stop in bounds]
            assert max(sizes) - min(sizes) <= 1


def test_a_long_list_takes_no_memory(tmp_path):
    path, rows = tmp_path / "long.csv", 6000
    with path.open("w") as file:
        file.write("path\n")
        file.writelines(f"{'folder/' * 60}{number}.jpg\n" for number in range(rows))
    tracemalloc.start()
    try:
        with Listing(read_inputs(path, [])) as listing:
            count = sum(1 for _ in listing.read())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == len(listing) == rows
    # The rows themselves are 2.5 MB.
    assert path.stat().st_size > 2_000_000 and peak < 500_000
