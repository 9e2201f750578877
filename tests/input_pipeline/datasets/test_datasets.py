"""Published sets are read from their makers' layouts, with scale, direction and groups right."""

import sys

import pandas as pd
import pytest
from PIL import Image

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.__main__ import write_manifest
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from programs import run_program
from published_sets import REFERENCES, lay_out_koniq10k


def test_the_splits_of_a_sets_makers_can_be_left_to_a_draw(layouts, tmp_path):
    folder, output = layouts["biq2021"], tmp_path / "manifest.csv"

    def written(*flags):
        run_program(
            [sys.executable, "-m", "input_pipeline.datasets", "biq2021",
             f"--folder={folder}", f"--output={output}", *flags]
        )  # fmt: skip
        return pd.read_csv(output)

    table = written()
    assert table.columns.tolist() == ["path", "mos", "group", "subset", "split"]
    assert table["split"].tolist() == ["train", "train", "train", "test"]
    drawn = written("--split=drawn")
    pd.testing.assert_frame_equal(drawn, table.drop(columns="split"))
    label = LabelSpec("numeric", "mos", minimum=0, maximum=1)
    fractions = {"train": 0.5, "val": 0.25, "test": 0.25}
    manifest = read_manifest(output, label, fractions=fractions)
    assert manifest.splits == ("train", "val", "test")


def test_the_milder_distortion_is_the_better_image(layouts, tmp_path):
    # Level 1 and 5 of one distortion: whatever a set calls its score, higher is better inside.
    for name in ("kadid10k", "tid2013", "csiq"):
        opinions = DATASETS[name]
        write_manifest(opinions, layouts[name], tmp_path / f"{name}.csv")
        label = LabelSpec(
            "numeric", "mos", minimum=opinions.minimum, maximum=opinions.maximum,
            higher_is_better=opinions.higher_is_better,
        )  # fmt: skip
        images = read_manifest(tmp_path / f"{name}.csv", label).images
        assert (images["label"].to_numpy()[::2] > images["label"].to_numpy()[1::2]).all(), name


@pytest.mark.parametrize("name", DATASETS)
def test_a_manifest_names_the_files_and_keeps_references_together(name, layouts, tmp_path):
    opinions = DATASETS[name]
    count, missing = write_manifest(opinions, layouts[name], tmp_path / "manifest.csv")
    label = LabelSpec("numeric", "mos", minimum=opinions.minimum, maximum=opinions.maximum)
    fractions = {"train": 0.5, "test": 0.5}
    manifest = read_manifest(
        tmp_path / "manifest.csv", label, features=opinions.columns, fractions=fractions
    )
    images = manifest.images
    assert len(images) == count == len(opinions.table(layouts[name])) and not missing
    for path in images["path"]:
        assert Image.open(path).size == (8, 8)
    assert (images.groupby("group")["split"].nunique() == 1).all()
    is_synthetic = name in ("kadid10k", "tid2013", "csiq")
    assert images["group"].nunique() == (REFERENCES if is_synthetic else count)


def test_the_command_leaves_missing_images_out_and_says_so(layouts, tmp_path):
    folder = tmp_path / "koniq10k"
    folder.mkdir()
    lay_out_koniq10k(folder)
    (folder / "1024x768" / "10007357496.jpg").unlink()

    def run():
        return run_program(
            [sys.executable, "-m", "input_pipeline.datasets", "koniq10k",
             f"--folder={folder}", f"--output={folder / 'manifest.csv'}"],
            check=False,
        )  # fmt: skip

    done = run()
    assert done.returncode == 3, done.stderr
    assert "missing: 1024x768/10007357496.jpg" in done.stdout
    assert "--config.data.minimum=1.0 --config.data.maximum=5.0" in done.stdout
    table = pd.read_csv(folder / "manifest.csv")
    assert table["path"].tolist() == ["1024x768/10004473376.jpg", "1024x768/10007903636.jpg"]
    for path in (folder / "1024x768").iterdir():
        path.unlink()
    done = run()
    assert done.returncode == 1 and "none of the 3 rated images is there" in done.stderr
    assert len(done.stderr.splitlines()) == 1
