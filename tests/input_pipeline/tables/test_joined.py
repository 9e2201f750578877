"""Several tables of opinion scores as one: labels stretched, names and splits told apart."""

import numpy as np
import pytest

from input_pipeline.tables.joined import join_manifests
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.table_files import ManifestError

HUNDRED = LabelSpec("numeric", "mos", minimum=0.0, maximum=100.0)
UNIT = LabelSpec("numeric", "mos", minimum=0.0, maximum=1.0)
DMOS = LabelSpec("numeric", "dmos", minimum=1.0, maximum=5.0, higher_is_better=False)


def write(folder, name, text):
    (folder / name).mkdir()
    path = folder / name / "manifest.csv"
    path.write_text(text)
    return path


@pytest.fixture
def tables(tmp_path):
    first = write(
        tmp_path, "live",
        "path,mos,group,split\na.png,20,x,train\nb.png,80,y,val\nc.png,50,z,test\n",
    )  # fmt: skip
    unit = write(tmp_path, "unit", "path,mos,group,split\na.png,0.25,x,train\nd.png,1,y,test\n")
    dmos = write(tmp_path, "dmos", "path,dmos,split\na.png,1,train\nd.png,2,val\n")
    return (
        read_manifest(first, HUNDRED),
        {"unit": read_manifest(unit, UNIT), "dmos": read_manifest(dmos, DMOS)},
    )


def test_labels_are_stretched_to_the_first_scale_and_turned_to_its_direction(tables):
    joined = join_manifests(*tables)
    # DMOS 1 of 1 to 5 is the best, DMOS 2 three quarters of the way up.
    np.testing.assert_allclose(joined.images["label"], [20, 80, 50, 25, 100, 100, 75], rtol=1e-6)
    assert joined.images["label"].dtype == np.float32
    assert joined.images["set_id"].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert joined.images.index.tolist() == [*range(7)] and joined.images.index.name == "image_id"
    assert joined.label == HUNDRED


def test_images_groups_and_tested_splits_of_the_sets_stay_apart(tables):
    joined = join_manifests(*tables)
    assert joined.images["name"].tolist() == [
        "a.png", "b.png", "c.png", "unit/a.png", "unit/d.png", "dmos/a.png", "dmos/d.png"
    ]  # fmt: skip
    assert joined.images["path"].nunique() == joined.images["group"].nunique() == 7
    assert joined.splits == ("train", "val", "test", "unit_test", "dmos_val")
    assert joined.split("train")["set_id"].tolist() == [0, 1, 2]
    # What is measured has one scale.
    assert joined.measured("train")["name"].tolist() == ["a.png"]
    assert joined.measured("unit_test")["name"].tolist() == ["unit/d.png"]


def test_the_digest_knows_the_further_sets(tables):
    first, others = tables
    digests = {
        join_manifests(first, others).digest,
        join_manifests(first, {"unit": others["unit"]}).digest,
        first.digest,
    }
    assert len(digests) == 3


@pytest.mark.parametrize("name", ["a set", "val", ""])
def test_a_name_that_could_be_taken_for_something_else_is_refused(tables, name):
    first, others = tables
    if name == "val":
        first.images.loc[1, "split"] = "val_2"
    with pytest.raises(ManifestError, match="a set of images cannot be called"):
        join_manifests(first, {name: others["unit"]})


def test_tiles_already_cut_are_refused(tables, tmp_path):
    first, _ = tables
    cut = write(
        tmp_path, "cut",
        "path,mos,image,row,column,split\nt.png,0.5,a,0,0,train\nu.png,0.5,a,0,1,train\n",
    )  # fmt: skip
    with pytest.raises(ManifestError, match="tiles already cut"):
        join_manifests(first, {"cut": read_manifest(cut, UNIT)})
