"""Tables of compared pairs: what is read, refused and kept together."""

import pytest

from input_pipeline.tables.pairs import read_pairs
from input_pipeline.tables.table_files import ManifestError

FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}


def write(folder, rows, columns="path_a,path_b,preference"):
    path = folder / "pairs.csv"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def read(folder, rows, columns="path_a,path_b,preference", seed=0):
    return read_pairs(write(folder, rows, columns), fractions=FRACTIONS, seed=seed)


CHAINS = [f"{k}0.png,{k}1.png,a" for k in range(8)] + [f"{k}2.png,{k}1.png,tie" for k in range(8)]


def test_images_once_and_preferences_as_written(tmp_path):
    rows = ["a.png,b.png,a", "c.png,b.png,B", "d.png,a.png,Tie", "e.png,./f.png,0.5"]
    manifest = read(tmp_path, [*rows, "g.png,h.png,1", "h.png,i.png,0", "g.png,h.png,b"])
    images, pairs = manifest.images, manifest.pairs
    assert sorted(images["name"]) == ["./f.png", *(f"{c}.png" for c in "abcdeghi")]
    assert images["path"].is_unique and (images["label"] == -1).all()
    found = [
        (images["path"][row.first][-5], images["path"][row.second][-5], row.preference)
        for row in pairs.itertuples()
    ]
    assert found == [("a", "b", 1), ("c", "b", 0), ("d", "a", 0.5), ("e", "f", 0.5), ("g", "h", 1),
                     ("h", "i", 0), ("g", "h", 0)]  # fmt: skip


def test_what_hangs_together_is_one_group_in_one_split(tmp_path):
    for seed in range(5):
        images = read(tmp_path, CHAINS, seed=seed).images
        assert images.groupby(images["name"].str[0])["group"].nunique().eq(1).all()
        assert images["group"].nunique() == 8
        assert images.groupby("group")["split"].nunique().eq(1).all()
        assert set(images["split"]) == set(FRACTIONS)
    splits = [tuple(read(tmp_path, CHAINS, seed=seed).images["split"]) for seed in range(5)]
    assert len(set(splits)) > 1


def test_no_pair_is_between_two_splits(tmp_path):
    manifest = read(tmp_path, CHAINS)
    split = manifest.images["split"].to_numpy()
    assert (split[manifest.pairs["first"]] == split[manifest.pairs["second"]]).all()


def test_a_given_group_joins_what_comparisons_do_not(tmp_path):
    rows = [f"{row},{'x' if row[0] in '01' else ''}" for row in CHAINS]
    images = read(tmp_path, rows, "path_a,path_b,preference,group").images
    assert images["group"].nunique() == 7
    joined = images[images["name"].str[0].isin(("0", "1"))]
    assert joined["group"].nunique() == 1


def test_given_splits_are_kept_and_an_image_in_two_is_refused(tmp_path):
    columns = "path_a,path_b,preference,split"
    images = read(tmp_path, ["a.png,b.png,a,train", "c.png,d.png,b,val"], columns).images
    assert images["split"].tolist() == ["train", "val", "train", "val"]
    with pytest.raises(ManifestError, match="b.png is in the splits train and val"):
        read(tmp_path, ["a.png,b.png,a,train", "b.png,d.png,b,val"], columns)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.png,b.png,c"], "row 2: the preference must be a, b or tie .*not 'c'"),
        (["a.png,./a.png,a"], "row 2: an image is compared with itself"),
        (["a.png,b.png,"], "row 2: the preference is empty"),
        (["a.png,,a"], "row 2: the path_b is empty"),
    ],
)
def test_rows_that_make_no_sense_are_refused(tmp_path, rows, message):
    with pytest.raises(ManifestError, match=message):
        read(tmp_path, rows)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(ManifestError, match="no column 'path_b'.*did you mean 'pathb'"):
        read(tmp_path, ["a.png,b.png,a"], "path_a,pathb,preference")


def test_the_digest_knows_the_preferences(tmp_path):
    changed = ([*CHAINS[:-1], f"72.png,71.png,{preference}"] for preference in ("a", "tie", "b"))
    assert len({read(tmp_path, rows).digest for rows in changed}) == 3
