"""What is on both sides of a split is found, by file, group and content, and nothing else is."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from input_pipeline.checks.leaks import find_leaks, find_seen, identify_images
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest, read_split_rows, with_splits
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tiling import Tiling

LABEL = LabelSpec("binary", classes=("bad", "good"))


@pytest.fixture
def write(tmp_path):
    """Writes a manifest of small images; equal numbers are equal files."""

    def write(folder: str, pixels: dict[str, int], groups: list[str]):
        home = tmp_path / folder
        home.mkdir()
        for name, level in pixels.items():
            cv2.imwrite(str(home / name), np.full((8, 8, 3), level, np.uint8))
        pd.DataFrame(
            {"path": list(pixels), "label": "bad", "group": groups, "split": "train"}
        ).to_csv(home / "manifest.csv", index=False)
        return home / "manifest.csv"

    return write


def identify(path):
    manifest = read_manifest(path, LABEL)
    source = TileSource(pictures_of(manifest), Tiling(8, 8, "pad"), max_pixels=100)
    return identify_images(manifest, source)


def test_a_clean_split_is_clean(write):
    images = identify(write("a", {"1.png": 1, "2.png": 2, "3.png": 3}, ["x", "x", "y"]))
    assert find_leaks(images[:2], images[2:]) == []


def test_a_group_on_both_sides_is_shown_with_its_rows(write):
    images = identify(write("a", {"1.png": 1, "2.png": 2, "3.png": 3}, ["x", "y", "x"]))
    (leak,) = find_leaks(images[:2], images[2:])
    assert leak == "the group 'x' is trained on (1.png: row 2) and tested on (row 4)"


def test_equal_content_under_another_name_is_a_leak(write):
    images = identify(write("a", {"1.png": 1, "2.png": 2, "3.png": 1}, ["x", "y", "z"]))
    (leak,) = find_leaks(images[:2], images[2:])
    assert leak == "the content of 3.png is trained on (1.png: row 2) and tested on (row 4)"


def test_names_of_two_data_sets_may_be_equal(write):
    # The same file names without groups, of other pictures: nothing is shared.
    ours = identify(write("a", {"1.png": 1, "2.png": 2}, ["", ""]))
    theirs = identify(write("b", {"1.png": 3, "2.png": 4}, ["", ""]))
    assert find_leaks(ours, theirs) == []


def test_groups_of_other_data_sets_are_other_groups(write, tmp_path):
    ours = identify(write("a", {"1.png": 1, "2.png": 2}, ["scene1", "scene2"]))
    theirs = identify(write("b", {"3.png": 3, "4.png": 4}, ["scene1", "scene3"]))
    assert find_leaks(ours, theirs) == []
    assert find_seen(ours, theirs).tolist() == [False, False]
    # Another list of photographs of the same folder, none of them in the first one.
    shutil.move(tmp_path / "b" / "3.png", tmp_path / "a" / "3.png")
    (tmp_path / "more.csv").write_text(
        "path,label,group,split\na/3.png,bad,scene1,test\nb/4.png,bad,scene3,test\n"
    )
    more = identify(tmp_path / "more.csv")
    (leak,) = find_leaks(ours, more)
    assert leak == "the group 'scene1' is trained on (1.png: row 2) and tested on (row 2)"
    assert find_seen(ours, more).tolist() == [True, False]
    # A copy elsewhere says that both lists are of one data set.
    elsewhere = tmp_path / "c"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "a" / "2.png", elsewhere / "x.png")
    shutil.copy(tmp_path / "b" / "4.png", elsewhere / "y.png")
    (elsewhere / "m.csv").write_text(
        "path,label,group,split\nx.png,bad,other,test\ny.png,bad,scene1,test\n"
    )
    assert find_seen(ours, identify(elsewhere / "m.csv")).tolist() == [True, True]


def test_two_data_sets_may_share_a_file(write, tmp_path):
    path = write("a", {"1.png": 1, "2.png": 2}, ["", ""])
    other = tmp_path / "b"
    other.mkdir()
    shutil.copy(tmp_path / "a" / "2.png", other / "copy.png")
    (other / "link.png").symlink_to(tmp_path / "a" / "1.png")
    (other / "manifest.csv").write_text("path,label,split\ncopy.png,bad,test\nlink.png,bad,test\n")
    leaks = find_leaks(identify(path), identify(other / "manifest.csv"))
    assert len(leaks) == 2  # The link is told of once, though its content is the same too.
    assert leaks[0].startswith("the file of link.png is trained on (1.png: row 2)")
    assert leaks[1].startswith("the content of copy.png is trained on (2.png: row 3)")


def test_a_file_that_is_gone_hides_no_other_leak(write, tmp_path):
    path = write("a", {"1.png": 1, "2.png": 2, "3.png": 1}, ["x", "y", "z"])
    (tmp_path / "a" / "2.png").unlink()
    images = identify(path)
    assert images["content"].isna().tolist() == [False, True, False]
    assert len(find_leaks(images[:2], images[2:])) == 1


def test_a_list_of_rows_replaces_the_splits(write, tmp_path):
    path = write("a", {"1.png": 1, "2.png": 2, "3.png": 3}, ["x", "y", "z"])
    manifest, rows = read_manifest(path, LABEL), tmp_path / "rows.csv"
    rows.write_text("name,group,split\n3.png,z,train\n1.png,x,test\n2.png,y,val\n")
    listed = with_splits(manifest, read_split_rows(rows))
    assert listed.images["split"].tolist() == ["test", "val", "train"]
    assert manifest.images["split"].tolist() == ["train"] * 3
    assert listed.digest != manifest.digest
    back = with_splits(listed, dict.fromkeys(manifest.images["name"], "train"))
    assert back.digest == manifest.digest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,split\n1.png,train\n", "rows 3, 4: the list of splits lacks them"),
        ("name,split\n1.png,train\n1.png,test\n", "names the same image as row 2"),
        ("name,group\n1.png,x\n", "there is no column 'split'"),
        ("name,split\n1.png,\n2.png,test\n", "row 2: the split is empty"),
    ],
)
def test_a_wrong_list_of_rows_is_refused(write, tmp_path, text, sentence):
    manifest = read_manifest(write("a", dict.fromkeys(("1.png", "2.png", "3.png"), 1), [""] * 3),
                             LABEL)  # fmt: skip
    rows = tmp_path / "rows.csv"
    rows.write_text(text)
    with pytest.raises(ManifestError, match=sentence):
        with_splits(manifest, read_split_rows(rows))
