"""Labels are read as their kind says, and a kind that makes no sense is refused."""

import pandas as pd
import pytest

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
