"""A manifest is read the same from any format, and refused with every problem and its row."""

import pandas as pd
import pytest

from input_pipeline.checks.split_checks import check_split_contents, find_straddling_groups
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")
OPINION = LabelSpec("numeric", column="mos", minimum=1, maximum=5)


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


def test_format_separator_and_blanks_do_not_change_what_is_read(tmp_path):
    plain = "path,label,split\na.jpg,good,train\nb.jpg,bad,val\n"
    expected = read_manifest(write(tmp_path, plain), QUALITY)
    frame = pd.DataFrame(
        {
            "path": ["a.jpg", "b.jpg"],
            "label": pd.Categorical(["good", "bad"]),
            "split": ["train", "val"],
        }
    )
    parquet = tmp_path / "manifest.parquet"
    frame.to_parquet(parquet)
    sources = [
        write(tmp_path, b"\xef\xbb\xbf" + plain.replace(",", ";").encode(), "excel.csv"),
        write(tmp_path, plain.replace(",", "\t").replace("\n", "\r\n"), "tabs.csv"),
        write(tmp_path, ' path , label,split \n a.jpg , good,train\nb.jpg,"bad",val\n', "s.csv"),
        parquet,
    ]
    for source in sources:
        manifest = read_manifest(source, QUALITY)
        pd.testing.assert_frame_equal(manifest.images, expected.images)
        assert manifest.digest == expected.digest


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


def test_a_long_list_of_problems_is_cut_in_the_message_only(tmp_path):
    text = "path,label\n" + "".join(f"{number}.jpg,\n" for number in range(70))
    with pytest.raises(ManifestError, match="70 problems") as caught:
        read_manifest(write(tmp_path, text), QUALITY)
    assert len(caught.value.problems) == 70
    message = str(caught.value)
    assert "row 51:" in message and "row 52:" not in message and "20 more" in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("paht,label\na,good\n", "no path column 'path'; .* did you mean 'paht'"),
        ("path,Label\na,good\n", "no label column 'label'; .* did you mean 'Label'"),
        ("path,label,Groups\na,good,x\n", "'Groups' is not read; rename it to 'group'"),
        ("path,label,Split\na,good,x\n", "'Split' is not read; rename it to 'split'"),
        ("path,label,label\na,good,bad\n", "'label' appears twice"),
        ("path,label,image\na,good,bad\n", "belong together: add row, column, or rename image"),
        ("path,label\na,b.jpg,good\n", "row 2: has 3 cells where the header has 2"),
        ("path,label\na.jpg\n", "row 2: has 1 cell where the header has 2"),
        ('path,label\n"a.jpg,good\n', "quotes do not match"),
        ("path,label\n", "no rows"),
        ("path,label\n,\n\n", "no rows"),
        ("", "empty"),
        (b"PK\x03\x04\x00\x00", "not a text file; save it as 'CSV UTF-8'"),
        ("path,label\na,good\nÄ,good\n".encode("latin-1"), "row 3: this is not UTF-8"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path, text, problem):
    with pytest.raises(ManifestError, match=problem):
        read_manifest(write(tmp_path, text), QUALITY)


def test_a_missing_or_unreadable_manifest_is_named(tmp_path):
    write(tmp_path, "path,label\n", "manifest.csv")
    with pytest.raises(ManifestError, match="no such file; did you mean 'manifest.csv'"):
        read_manifest(tmp_path / "manifets.csv", QUALITY)
    with pytest.raises(ManifestError, match="this folder is no data set that --mode=prepare"):
        read_manifest(tmp_path, QUALITY)
    with pytest.raises(ManifestError, match="not a Parquet file"):
        read_manifest(write(tmp_path, "path,label\n", "m.parquet"), QUALITY)


def test_scores_are_turned_so_that_higher_is_better(tmp_path):
    text = "path;mos\na.jpg;1.5\nb.jpg;5\nc.jpg;2\n"
    manifest = read_manifest(write(tmp_path, text), OPINION)
    assert manifest.images["label"].tolist() == [1.5, 5, 2]
    assert manifest.images["label"].dtype == "float32"
    dmos = LabelSpec("numeric", column="mos", minimum=1, maximum=5, higher_is_better=False)
    manifest = read_manifest(write(tmp_path, text), dmos)
    assert manifest.images["label"].tolist() == [4.5, 1, 4]
    assert manifest.images["label_text"].tolist() == ["1.5", "5", "2"]


def test_scores_that_are_none_are_refused(tmp_path):
    text = "path;mos\na;2,5\nb;good\nc;nan\nd;inf\ne;\nf;5.01\ng;0\nh;3\n"
    assert problems_of(tmp_path, text, OPINION) == [
        "row 2: label '2,5' is not a number; write the decimals after a point",
        "row 3: label 'good' is not a number",
        "row 4: label 'nan' is not a number",
        "row 5: label 'inf' is not a number",
        "row 6: the label is empty",
        "row 7: label 5.01 is outside the scale 1 to 5",
        "row 8: label 0 is outside the scale 1 to 5",
    ]


def test_grades_written_as_numbers_are_text(tmp_path):
    grades = LabelSpec("ordered", column="grade", classes=("1", "2", "3"))
    frame = pd.DataFrame({"path": ["a", "b", "c"], "grade": [3, 1, 2]})
    frame.to_parquet(tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet", grades).images["label"].tolist() == [2, 0, 1]
    frame.to_csv(tmp_path / "m.csv", index=False)
    assert read_manifest(tmp_path / "m.csv", grades).images["label"].tolist() == [2, 0, 1]


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


def test_missing_splits_and_classes_are_told(tmp_path):
    text = "path,label,split\na,good,Train\nb,bad,Train\nc,good,val\nd,marginal,val\n"
    manifest = read_manifest(write(tmp_path, text), QUALITY)
    assert check_split_contents(manifest) == [
        "split 'train' has no images; the splits are val, Train; did you mean 'Train'?",
        "split 'val' has no image of class 'bad'",
    ]
    assert check_split_contents(manifest, ("Train",)) == []
    text = "path,mos,split\na,1,train\nb,2,train\nc,3,val\nd,3,val\n"
    manifest = read_manifest(write(tmp_path, text), OPINION)
    assert check_split_contents(manifest) == [
        "split 'val' has only one label value: nothing can be compared in it"
    ]


def test_a_group_in_two_splits_is_told_with_its_rows(tmp_path):
    text = (
        "path,label,group,split\na,good,x,train\nb,bad,y,train\nc,good,x,val\nd,bad,x,train\n"
        "e,bad,,train\nf,bad,,val\n"
    )
    manifest = read_manifest(write(tmp_path, text), QUALITY)
    assert find_straddling_groups(manifest) == [
        "group 'x' is in more than one split: rows 2, 5 in 'train' and row 4 in 'val'"
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"kind": "binray", "classes": ("a", "b")}, "did you mean 'binary'"),
        ({"kind": "binary", "classes": ("a", "b", "c")}, "exactly two"),
        ({"kind": "ordered", "classes": ("a",)}, "at least two"),
        ({"kind": "unordered", "classes": ("a", "b", "a")}, "twice"),
        ({"kind": "ordered", "classes": (1, 2)}, "must be text"),
        ({"kind": "binary", "classes": ("a", "b"), "marginal": "a"}, "twice"),
        ({"kind": "ordered", "classes": ("a", "b"), "marginal": "c"}, "marginal"),
        ({"kind": "binary", "classes": ("a", "b"), "column": "path"}, "rename"),
        ({"kind": "numeric"}, "minimum below its maximum"),
        ({"kind": "numeric", "minimum": 5, "maximum": 1}, "minimum below its maximum"),
        ({"kind": "numeric", "minimum": 1, "maximum": 5, "classes": ("a", "b")}, "no classes"),
    ],
)
def test_a_label_description_without_sense_is_refused(arguments, problem, unchecked_types):
    with pytest.raises(ValueError, match=problem):
        LabelSpec(**arguments)
