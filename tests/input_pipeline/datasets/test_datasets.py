"""Published sets are read from their makers' layouts, with scale, direction and groups right."""

import sys

import numpy as np
import openpyxl
import pandas as pd
import pytest
import scipy.io
from PIL import Image

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.__main__ import write_manifest
from input_pipeline.datasets.layouts import LayoutError
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from programs import run_program

REFERENCES = 4


def write_images(folder, names):
    rng = np.random.default_rng(len(names))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        # A format that no suffix decides: some sets have JPEG files that are called .bmp.
        Image.fromarray(pixels).save(folder / name, format="png")


def write_sheet(path, title, rows):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def lay_out_live_in_the_wild(folder):
    names = [f"t{n}.bmp" for n in range(1, 8)] + ["3.bmp", "5.bmp", "1024.JPG", "t9.bmp"]
    folder.joinpath("Data").mkdir()
    # MATLAB: a column of cells, and rows of doubles.
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    for name, value in (
        ("AllImages_release", cells),
        ("AllMOS_release", np.arange(len(names), dtype=float)[None] * 10),
        ("AllStdDev_release", np.arange(len(names), dtype=float)[None] + 0.5),
    ):
        scipy.io.savemat(folder / "Data" / f"{name}.mat", {name: value})
    write_images(folder / "Images", names[7:])
    write_images(folder / "Images" / "trainingImages", names[:7])


def lay_out_koniq10k(folder):
    (folder / "koniq10k_scores_and_distributions.csv").write_text(
        '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
        '"10004473376.jpg",0,0,25,73,7,105,3.82857142857143,0.527278,70.8\n'
        '"10007357496.jpg",0,3,45,47,1,96,3.47916666666667,0.580003,60.1\n'
        '"10007903636.jpg",1,0,20,73,2,96,3.78125,0.5,69.2\n'
    )
    write_images(folder / "1024x768", ["10004473376.jpg", "10007357496.jpg", "10007903636.jpg"])


def lay_out_kadid10k(folder):
    rows, names = ["dist_img,ref_img,dmos,var"], []
    for reference in range(1, REFERENCES + 1):
        for level, score in ((1, 4.57), (5, 1.2)):
            names.append(f"I{reference:02}_01_{level:02}.png")
            rows.append(f"{names[-1]},I{reference:02}.png,{score},0.496")
    (folder / "dmos.csv").write_text("\n".join(rows) + "\n")
    write_images(folder / "images", [*names, "I01.png"])


def lay_out_tid2013(folder):
    names = [f"I{n:02}_01_{level}.bmp" for n in range(1, REFERENCES + 1) for level in (1, 5)]
    scores = [5.51429, 3.1] * REFERENCES
    lines = [f"{score:.5f} {name}" for score, name in zip(scores, names, strict=True)]
    (folder / "mos_with_names.txt").write_text("\r\n".join(lines) + "\r\n")
    (folder / "mos_std.txt").write_text("\n".join(["0.13013"] * len(names)))
    # The images are in lower case, the score file is not.
    write_images(folder / "distorted_images", [name.lower() for name in names])


def lay_out_csiq(folder):
    # The table begins in the fourth row and column; Excel takes the picture 1600 for a number.
    head = [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    rows, names = [], []
    for reference in (1600, "boston", "lady_liberty", "trolley"):
        for index, (kind, token) in enumerate((("noise", "AWGN"), ("jpeg 2000", "jpeg2000"))):
            for level, dmos in ((1, 0.062), (5, 0.875)):
                rows.append([None] * 3 + [reference, index + 1, kind, level, 0.042, dmos])
                names.append(f"{token.lower()}/{reference}.{token}.{level}.png")
    blank = [[None], ["CSIQ"], [None]]
    write_sheet(folder / "csiq.DMOS.xlsx", "all_by_image", [*blank, head, *rows, [None]])
    write_images(folder / "dst_imgs", names)


def lay_out_spaq(folder):
    head = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
    rows = [[f"0000{n}.jpg", 20.0 * n, 51, 52, 53, 54, 55.5] for n in (1, 2, 3)]
    write_sheet(
        folder / "Annotations" / "MOS and Image attribute scores.xlsx", "Sheet1", [head, *rows]
    )
    write_images(folder / "TestImage", [row[0] for row in rows])


def lay_out_biq2021(folder):
    # The training table has two empty columns more, and one file another letter case.
    (folder / "Train (Images and MOS).csv").write_text(
        "Image Name,MOS,,\nss03 (3753).jpg,0.8471,,\nss02 (1014).jpg,0,,\nss01 (9).jpg,0.2874,,\n"
    )
    (folder / "Test (Images and MOS).csv").write_text("Image Name,MOS\nss03 (1).jpg,1\n")
    names = ["ss03 (3753).jpg", "ss02 (1014).JPG", "ss01 (9).jpg", "ss03 (1).jpg"]
    write_images(folder / "Images", names)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Folder of each set, a few images each, laid out as its makers do."""
    folders = {}
    for name in DATASETS:
        folders[name] = tmp_path_factory.mktemp(name)
        globals()[f"lay_out_{name}"](folders[name])
    return folders


def test_scores_are_read_as_written(layouts):
    tables = {name: DATASETS[name].table(folder) for name, folder in layouts.items()}
    live = tables["live_in_the_wild"]
    # The seven images that taught the raters are no part of the set; t9.bmp is none of them.
    assert live["path"].tolist() == [
        "Images/3.bmp", "Images/5.bmp", "Images/1024.JPG", "Images/t9.bmp",
    ]  # fmt: skip
    assert live["mos"].tolist() == [70, 80, 90, 100]
    assert live["mos_std"].tolist() == [7.5, 8.5, 9.5, 10.5]
    koniq = tables["koniq10k"].iloc[0]
    assert koniq["path"] == "1024x768/10004473376.jpg"
    assert koniq["mos_zscore"] == 70.8 and koniq["mos_std"] == 0.527278
    counts = tables["koniq10k"][["c1", "c2", "c3", "c4", "c5"]].to_numpy()
    means = counts @ np.arange(1, 6) / counts.sum(axis=1)
    np.testing.assert_allclose(tables["koniq10k"]["mos"], means, atol=1e-9)
    kadid = tables["kadid10k"]
    assert kadid["path"][0] == "images/I01_01_01.png" and kadid["mos_std"][0] == 0.496
    tid = tables["tid2013"]
    assert tid["path"][0] == "distorted_images/i01_01_1.bmp"
    assert tid["mos"].tolist()[:2] == [5.51429, 3.1] and tid["mos_std"][0] == 0.13013
    csiq = tables["csiq"]
    assert csiq["path"][0] == "dst_imgs/awgn/1600.AWGN.1.png"
    assert csiq["path"][3] == "dst_imgs/jpeg2000/1600.jpeg2000.5.png"
    assert csiq["mos"].tolist()[:2] == [0.062, 0.875] and len(csiq) == 16
    spaq = tables["spaq"].iloc[1]
    assert spaq["path"] == "TestImage/00002.jpg" and spaq["mos"] == 40
    assert spaq["sharpness"] == 55.5 and spaq["noisiness"] == 54
    biq = tables["biq2021"]
    assert biq["path"].tolist() == [
        "Images/ss03 (3753).jpg", "Images/ss02 (1014).JPG", "Images/ss01 (9).jpg",
        "Images/ss03 (1).jpg",
    ]  # fmt: skip
    assert biq["mos"].tolist() == [0.8471, 0, 0.2874, 1]
    assert biq["subset"].tolist() == ["ss03", "ss02", "ss01", "ss03"]
    assert biq["split"].tolist() == ["train", "train", "train", "test"]


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


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_the_set_says_where_to_get_it(name, tmp_path):
    opinions = DATASETS[name]
    with pytest.raises(LayoutError, match="no such file") as caught:
        opinions.table(tmp_path)
    assert opinions.home in str(caught.value) and opinions.layout in str(caught.value)


def test_what_is_wrong_with_a_score_file_is_said(layouts, tmp_path):
    opinions = DATASETS["kadid10k"]
    scores = (layouts["kadid10k"] / "dmos.csv").read_text()
    for wrong, sentence in (
        (scores.replace("4.57", "five", 1), r"I01_01_01.png mos = 'five', which is no number"),
        (scores.replace("4.57", "5.1", 1), "no number from 1 to 5"),
        (scores.replace("dmos,var", "mos,var"), "no column 'dmos'; the columns are dist_img"),
        (scores.partition("\n")[0], "rates no image"),
        ("", "no comma-separated table"),
    ):
        (tmp_path / "dmos.csv").write_text(wrong)
        with pytest.raises(LayoutError, match=sentence):
            opinions.table(tmp_path)
    tid = DATASETS["tid2013"]
    for name in ("mos_with_names.txt", "mos_std.txt"):
        (tmp_path / name).write_text((layouts["tid2013"] / name).read_text())
    (tmp_path / "mos_std.txt").write_text("0.1\n")
    with pytest.raises(LayoutError, match="has 1 lines where mos_with_names.txt has 8"):
        tid.table(tmp_path)
    (tmp_path / "csiq.DMOS.xlsx").write_text("no Excel file")
    with pytest.raises(LayoutError, match="this Excel file cannot be read"):
        DATASETS["csiq"].table(tmp_path)


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


@pytest.mark.parametrize("name", DATASETS)
def test_a_builder_gives_the_same_images_and_scores(name, layouts, tmp_path):
    import tensorflow_datasets as tfds

    from input_pipeline.datasets import builders  # noqa: F401, registers them.

    opinions, folder = DATASETS[name], layouts[name]
    builder = tfds.builder(name, data_dir=tmp_path, file_format="array_record")
    config = tfds.download.DownloadConfig(manual_dir=folder)
    table = opinions.table(folder)
    if table["group"].nunique() < 3:
        pytest.fail("three splits need three groups")
    builder.download_and_prepare(download_config=config)
    info = tfds.builder_from_directory(builder.data_dir).info
    assert info.metadata["minimum"] == opinions.minimum
    assert info.metadata["higher_is_better"] is opinions.higher_is_better
    assert set(info.splits) == set(opinions.splits or ("train", "val", "test"))
    groups, rows = [], {}
    for split in info.splits:
        source = builder.as_data_source(split)
        examples = [source[index] for index in range(len(source))]
        groups += {example["group"] for example in examples}
        if opinions.splits:
            names = set(table["path"][table["split"] == split])
            assert {example["path"].decode() for example in examples} == names
        rows |= {example["path"].decode(): example for example in examples}
    assert len(set(groups)) == len(groups)  # No split shares one with another.
    assert len(rows) == len(table)
    for row in table.to_dict("records"):
        example = rows[row["path"]]
        np.testing.assert_array_equal(example["image"], Image.open(folder / row["path"]))
        for column in ("mos", *opinions.columns):
            assert example[column] == np.float32(row[column])
        for column in opinions.text_columns:
            assert example[column].decode() == row[column]


def test_a_builder_refuses_a_set_that_is_not_whole(layouts, tmp_path):
    import tensorflow_datasets as tfds

    from input_pipeline.datasets import builders

    folder = tmp_path / "set"
    folder.mkdir()
    lay_out_koniq10k(folder)
    (folder / "1024x768" / "10007357496.jpg").unlink()
    builder = builders.Koniq10k(data_dir=tmp_path / "data")
    with pytest.raises(LayoutError, match="1 of the 3 rated images are not there"):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder)
        )
