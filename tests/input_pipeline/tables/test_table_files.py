"""Tables are read the same from any format, and refused with every problem and its row."""

import pandas as pd
import pytest

from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import (
    ManifestError,
    count_of,
    find_delimiter,
    read_columns,
    read_table,
    stream_table,
    suggest,
)

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")


def write(folder, text, name="manifest.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_table_is_the_same_as_a_whole_and_row_by_row(tmp_path, ending):
    frame = pd.DataFrame({"path": ["a.jpg", " b;c.jpg "], "x": ["1", "2"], "label": ["good", ""]})
    path = tmp_path / f"table{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    whole = read_table(path)
    assert whole.to_dict("list") == {"path": ["a.jpg", "b;c.jpg"], "x": ["1", "2"],
                                     "label": ["good", ""]}  # fmt: skip
    assert read_columns(path) == ["path", "x", "label"]
    rows = list(stream_table(path, ["label", "path"]))
    assert rows == [(2, {"label": "good", "path": "a.jpg"}), (3, {"label": "", "path": "b;c.jpg"})]
    with pytest.raises(ManifestError, match="no column 'lable'.*did you mean 'label'"):
        next(stream_table(path, ["lable"]))


def test_words_of_messages():
    assert [count_of(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert suggest("Lable", ["path", "label"]) == "; did you mean 'label'?"
    assert suggest("xyz", ["path", "label"]) == ""
    assert [find_delimiter(line) for line in ("a,b", "a;b,c;d", "a\tb", "a")] == [*",;\t", ","]
