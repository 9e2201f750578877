"""A manifest is read the same from any format, and refused with every problem and its row."""

import pytest

from input_pipeline.checks.split_checks import check_split_contents, find_straddling_groups
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")


def write(folder, text, name="manifest.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems_of(folder, text, label=QUALITY, **options):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(folder, text), label, **options)
    return caught.value.problems


def test_rows_become_images(tmp_path):
    path = write(
        tmp_path,
        "path,label,group,split,sharpness,remark\n"
        "a.jpg,good,scene 1,train,0.5,x\n"
        "sub/../b.jpg,bad,scene 2,odd,1e1,\n"
        "/far/c.jpg,marginal,,val,-3,\n",
    )
    manifest = read_manifest(path, QUALITY, features=["sharpness"])
    images = manifest.images
    assert images["path"].tolist() == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "b.jpg"),
        "/far/c.jpg",
    ]
    assert images["name"].tolist() == ["a.jpg", "sub/../b.jpg", "/far/c.jpg"]
    assert images["label"].tolist() == [1, 0, -1]
    assert images["label"].dtype == "int32" and images["sharpness"].dtype == "float32"
    assert images["group"].tolist() == ["scene 1", "scene 2", "/far/c.jpg"]
    assert images["sharpness"].tolist() == [0.5, 10, -3]
    assert images["file_row"].tolist() == [2, 3, 4]
    assert images.index.tolist() == [0, 1, 2] and images.index.name == "image_id"
    assert manifest.splits == ("train", "val", "odd")
    assert manifest.split("odd")["name"].tolist() == ["sub/../b.jpg"]
    assert manifest.tiles is None
    with pytest.raises(ValueError, match="no split 'vall'; .* did you mean 'val'"):
        manifest.split("vall")


def test_digest_follows_the_content_and_not_the_folder(tmp_path):
    text = "path,label,split\na.jpg,good,train\nb.jpg,bad,val\n"
    (tmp_path / "moved").mkdir()
    digest = read_manifest(write(tmp_path, text), QUALITY).digest
    assert read_manifest(write(tmp_path / "moved", text), QUALITY).digest == digest
    for old, new in [("a.jpg", "c.jpg"), ("good", "bad"), ("val", "test")]:
        assert read_manifest(write(tmp_path, text.replace(old, new)), QUALITY).digest != digest
    swapped = LabelSpec("binary", classes=("good", "bad"))
    assert read_manifest(write(tmp_path, text), swapped).digest != digest


def test_row_numbers_are_those_of_a_spreadsheet(tmp_path):
    text = 'path,label\na.jpg,good\n,\n\n"two\nlines.jpg",oops\nc.jpg,\n'
    assert problems_of(tmp_path, text) == [
        "row 5: unknown label 'oops' in 1 row (row 5); the labels are bad, marginal, good",
        "row 6: the label is empty",
    ]


def test_all_problems_are_told_at_once(tmp_path):
    text = "path,label,split,size\na.jpg,Good,train,1\n./a.jpg,good,train,x\n,bad,,2\n" + "".join(
        f"{number}.jpg,blurry,train,1\n" for number in range(8)
    )
    assert problems_of(tmp_path, text, features=["size"]) == [
        "row 2: unknown label 'Good' in 1 row (row 2); the labels are bad, marginal, good; "
        "did you mean 'good'?",
        "row 3: feature 'size' 'x' is not a number",
        "row 3: names the same file as row 2",
        "row 4: the path is empty",
        "row 4: the split is empty",
        "row 5: unknown label 'blurry' in 8 rows (rows 5, 6, 7, 8, 9 and 3 more); "
        "the labels are bad, marginal, good",
    ]


def test_tiles_already_cut_form_images(tmp_path):
    text = (
        "image,row,column,path,label,group\n"
        "B,0,1,b01.png,bad,x\nA,0,0,a00.png,good,y\nB,0,0,b00.png,bad,x\nC,2,0,c20.png,bad,z\n"
    )
    manifest = read_manifest(write(tmp_path, text), QUALITY)
    assert manifest.images["name"].tolist() == ["B", "A", "C"]
    assert manifest.images["path"].tolist() == ["", "", ""]
    assert manifest.images["label"].tolist() == [0, 1, 0]
    assert manifest.images["file_row"].tolist() == [2, 3, 5]
    tiles = manifest.tiles
    assert tiles["image_id"].tolist() == [0, 0, 1, 2]
    assert tiles["name"].tolist() == ["b00.png", "b01.png", "a00.png", "c20.png"]
    assert tiles["path"].tolist() == [str(tmp_path / name) for name in tiles["name"]]
    assert tiles[["row", "column"]].values.tolist() == [[0, 0], [0, 1], [0, 0], [2, 0]]
    assert tiles["file_row"].tolist() == [4, 2, 3, 5]


def test_tiles_that_contradict_each_other_are_refused(tmp_path):
    text = (
        "image,row,column,path,label,group,split,size\n"
        "A,0,0,1.png,good,x,train,1\nA,0,1,2.png,bad,y,val,2\nA,0,1,3.png,good,x,train,1\n"
        "B,-1,0,4.png,bad,z,val,1\nB,0,1.5,5.png,bad,z,val,1\n,0,0,6.png,bad,z,val,1\n"
    )
    assert problems_of(tmp_path, text, features=["size"]) == [
        "row 2: the tiles of image 'A' differ in their group: x, y",
        "row 2: the tiles of image 'A' differ in their label: good, bad",
        "row 2: the tiles of image 'A' differ in their size: 1.0, 2.0",
        "row 2: the tiles of image 'A' differ in their split: train, val",
        "row 4: is the same tile (image, row, column) as row 3",
        "row 5: the tile's row must be a whole number from 0 on, not '-1'",
        "row 6: the tile's column must be a whole number from 0 on, not '1.5'",
        "row 7: the image is empty",
    ]


def test_splits_are_drawn_by_group_when_there_is_no_column(tmp_path):
    rows = [f"{n}.jpg,{'good' if n % 2 else 'bad'},scene {n // 4}" for n in range(80)]
    path = write(tmp_path, "path,label,group\n" + "\n".join(rows))
    manifest = read_manifest(path, QUALITY, seed=3)
    assert manifest.splits == ("train", "val", "test")
    assert find_straddling_groups(manifest) == []
    assert check_split_contents(manifest, ("train", "val", "test")) == []
    assert [len(manifest.split(name)) for name in manifest.splits] == [56, 12, 12]
    other = read_manifest(path, QUALITY, seed=3, fractions={"fit": 0.5, "check": 0.5})
    assert len(other.split("fit")) == 40

    few = write(tmp_path, "path,label\na,good\nb,bad\n")
    with pytest.raises(ManifestError, match="2 groups cannot fill the 3 splits"):
        read_manifest(few, QUALITY)


def test_labels_are_not_looked_at_for_prediction(tmp_path):
    manifest = read_manifest(write(tmp_path, "path,label\na.jpg,whatever\nb.jpg,\n"), None)
    assert manifest.images["label"].tolist() == [-1, -1]
    assert manifest.images["label_text"].tolist() == ["", ""]
    assert manifest.splits == ()


def test_a_feature_that_is_none_is_refused(tmp_path):
    text = "path,label,sharpness\na.jpg,good,1e300\n"
    assert problems_of(tmp_path, text, features=["sharpness"]) == [
        "row 2: feature 'sharpness' '1e300' is not a number"
    ]
    problem = problems_of(tmp_path, text, features=["sharpnes"])[0]
    assert "no feature column 'sharpnes'" in problem and "did you mean 'sharpness'" in problem
    assert "another meaning" in problems_of(tmp_path, text, features=["label"])[0]
    assert "twice" in problems_of(tmp_path, text, features=["sharpness", "sharpness"])[0]
