"""What is wrong with splits is told with its rows."""

from input_pipeline.checks.split_checks import check_split_contents, find_straddling_groups
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")


OPINION = LabelSpec("numeric", column="mos", minimum=1, maximum=5)


def write(folder, text, name="manifest.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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
