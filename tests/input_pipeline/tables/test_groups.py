"""Groups are joined by what else must stay together, and splits drawn by the joined ones."""

import numpy as np
import pytest

from input_pipeline.checks.split_checks import find_straddling_groups
from input_pipeline.tables.groups import join_groups
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest, with_splits
from input_pipeline.tables.pairs import read_pairs
from input_pipeline.tables.table_files import ManifestError

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")
DRAW = {"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}, "seed": 1}


def read(folder, text, read=lambda path: read_manifest(path, QUALITY, **DRAW)):
    path = folder / "manifest.csv"
    path.write_text(text)
    return read(path)


def test_groups_that_share_a_cluster_are_one(tmp_path):
    text = "path,label,group\na,good,x\nb,bad,y\nc,good,\nd,bad,x\ne,good,z\nf,bad,\ng,bad,\n"
    # b is alike c, and d alike c: the groups x, y and c hang together. f and g are alike.
    joined = join_groups(read(tmp_path, text), np.array([0, 1, 1, 1, 2, 3, 3]), **DRAW)
    all_of_x = "look-alikes of x"
    assert joined.images["group"].tolist() == [
        all_of_x, all_of_x, all_of_x, all_of_x, "z", "look-alikes of f", "look-alikes of f",
    ]  # fmt: skip


def test_without_look_alikes_nothing_changes(tmp_path):
    manifest = read(tmp_path, "path,label,group\na,good,x\nb,bad,x\nc,good,y\nd,bad,z\n")
    assert join_groups(manifest, np.array([5, 5, 1, 2]), **DRAW) is manifest


def test_splits_are_drawn_by_the_joined_groups(tmp_path):
    text = "path,label\n" + "\n".join(f"{n}.jpg,{('good', 'bad')[n % 2]}" for n in range(60))
    manifest, clusters = read(tmp_path, text), np.arange(60) // 3
    parted = manifest.images.groupby(clusters)["split"].nunique()
    assert (parted > 1).any()
    joined = join_groups(manifest, clusters, **DRAW)
    assert (joined.images.groupby(clusters)["split"].nunique() == 1).all()
    assert joined.images["split"].value_counts().to_dict() == {"train": 36, "val": 12, "test": 12}
    assert joined.digest != manifest.digest
    other = join_groups(manifest, clusters, **DRAW | {"seed": 2})
    assert other.images["split"].tolist() != joined.images["split"].tolist()
    with pytest.raises(ManifestError, match="2 groups cannot fill the 3 splits"):
        join_groups(manifest, np.arange(60) % 2, **DRAW)


def test_given_splits_stay_and_a_cluster_across_them_is_told(tmp_path):
    manifest = read(tmp_path, "path,label,split\na,good,train\nb,bad,val\nc,good,train\n")
    joined = join_groups(manifest, np.array([0, 0, 1]), **DRAW)
    assert joined.images["split"].tolist() == ["train", "val", "train"]
    assert find_straddling_groups(joined) == [
        "group 'look-alikes of a' is in more than one split: row 2 in 'train' and row 3 in 'val'"
    ]
    # As are those of a list, which takes the place of a draw.
    drawn = read(tmp_path, "path,label\na,good\nb,bad\nc,good\n")
    listed = with_splits(drawn, {"a": "train", "b": "val", "c": "val"})
    joined = join_groups(listed, np.array([0, 0, 1]), **DRAW)
    assert joined.images["split"].tolist() == ["train", "val", "val"]


def test_pairs_stay_together_with_what_looks_alike(tmp_path):
    text = "path_a,path_b,preference\n" + "\n".join(f"{n}a,{n}b,a" for n in range(10))
    manifest = read(tmp_path, text, lambda path: read_pairs(path, **DRAW))
    clusters = np.arange(20)
    clusters[[0, 2]] = 99  # Two of the compared images, of two pairs.
    joined = join_groups(manifest, clusters, **DRAW)
    assert joined.images["group"].nunique() == 9
    images, (first, second) = joined.images, (joined.pairs["first"], joined.pairs["second"])
    assert (images["split"][first].to_numpy() == images["split"][second].to_numpy()).all()
    assert images["split"].iat[0] == images["split"].iat[2]
