"""The embedded data set is honest: labels follow the rule and nothing else betrays them."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from input_pipeline import sample_photos
from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS
from input_pipeline.files.images import load
from input_pipeline.tiles import tiling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample_photos")
    assert sample_photos.write(folder) == folder / "manifest.csv"
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return pd.read_csv(folder / "manifest.csv", keep_default_na=False)


def digests(name, seed):
    photo = sample_photos.scenes()[name]
    return [
        hashlib.sha256(sample.image.tobytes()).hexdigest()
        for sample in sample_photos.make_samples(name, photo, seed=seed, size=256)
    ]


def test_every_file_named_is_there_and_no_other(folder, table):
    named = {*table["path"], *table["region"][table["region"] != ""], "manifest.csv"}
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert named == written and table["path"].is_unique


def test_no_scene_straddles_splits_and_each_split_has_all_labels(table):
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert set(table["split"]) == {"train", "val", "test", "holdout"}
    assert (table.groupby("split")["group"].nunique() >= 2).all()
    counts = pd.crosstab(table["split"], table["label"])
    assert list(counts) == ["bad", "good", "marginal"] and (counts > 20).all(axis=None)
    assert (counts["bad"] / counts["good"]).between(0.7, 1.4).all()


def test_labels_follow_distortion_and_level(table):
    is_clean = table["level"] == 0
    assert (table["label"][is_clean] == "good").all() and (
        table["distortion"][is_clean] == ""
    ).all()
    for row in table[~is_clean].itertuples():
        limit = sample_photos.LAST_MARGINAL_LEVEL[row.distortion]
        assert row.label == ("bad" if row.level > limit else "marginal")
    assert set(sample_photos.LAST_MARGINAL_LEVEL) <= set(DISTORTIONS)


def test_every_scene_has_every_kind_and_level_once(table):
    counts = table[table["level"] > 0].groupby(["group", "distortion", "level"]).size()
    assert (counts == 1).all()
    kinds = sample_photos.LAST_MARGINAL_LEVEL
    assert len(counts) == len(sample_photos.SCENES) * len(kinds) * len(LEVELS)


def test_regions_are_large_strong_and_spread_over_scenes_and_kinds(folder, table):
    regions = table[table["region"] != ""]
    assert (regions["label"] == "bad").all()
    assert (regions["level"] >= sample_photos.FIRST_REGION_LEVEL).all()
    assert regions["area"].between(0.25, 0.7).all()
    assert set(regions["group"]) == set(sample_photos.SCENES)
    possible = table[(table["label"] == "bad") & (table["level"] >= 3)]
    kinds = possible.groupby(["distortion", "level"])["region"]
    assert kinds.agg(lambda region: 0 < (region != "").mean() < 1).all()
    for row in regions.itertuples():
        mask = np.asarray(Image.open(folder / row.region))
        height, width = load(folder / row.path).shape[:2]
        assert mask.dtype == bool and mask.shape == (height, width)
        assert mask.mean() == pytest.approx(row.area, abs=1e-4) and mask.sum() >= 128**2
    whole = table["area"][table["region"] == ""]
    assert (whole == (table["level"][table["region"] == ""] > 0)).all()


def test_masks_mark_the_changed_pixels(monkeypatch):
    def collect():
        photo = sample_photos.scenes()["coffee"]
        return list(sample_photos.make_samples("coffee", photo, seed=0, size=256))

    degraded = collect()
    monkeypatch.setattr(sample_photos, "distort_region", lambda image, *_: skip_noise(image, *_))
    clean = collect()
    pairs = [(a, b) for a, b in zip(degraded, clean, strict=True) if a.region is not None]
    assert len(pairs) > 5
    for sample, reference in pairs:
        changed = (sample.image != reference.image).any(axis=-1)
        assert not changed[~sample.region].any()
        assert changed[sample.region].mean() > 0.8


def skip_noise(image, name, level, mask, rng):
    """Draws what the degradation draws, so that later samples stay the same; changes nothing."""
    sample_photos.distort(image, name, level, rng)
    return image


def test_same_seed_same_bytes_and_another_seed_other_crops(folder, table):
    written = [
        hashlib.sha256(load(folder / path).tobytes()).hexdigest()
        for path in table["path"][table["group"] == "rocket"]
    ]
    assert written == digests("rocket", 0)
    assert not set(written) & set(digests("rocket", 1))
    assert len(set(written)) == len(written)


def test_name_size_and_format_say_nothing_about_the_label(folder, table):
    number = table["path"].str.extract(r"_(\d+)\.png$")[0].astype(int)
    is_good = table["label"] == "good"
    assert abs(number[is_good].mean() - number[~is_good].mean()) < 6
    shapes = []
    for path in table["path"]:
        with Image.open(folder / path) as image:
            assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
            shapes.append(image.size)
    area = pd.Series([width * height for width, height in shapes])
    assert {side for shape in shapes for side in shape} == {256, 320}
    assert abs(area[is_good].mean() / area[~is_good].mean() - 1) < 0.05


def test_clean_crops_hold_something_to_judge(folder, table):
    for path in table["path"][table["level"] == 0]:
        image = load(folder / path)
        assert tiling.edge_sum(image) >= sample_photos.MIN_EDGES * image[..., 0].size


def test_a_package_without_its_photograph_is_named():
    for package in ("skimage", "no_such_package"):
        scene = sample_photos.Scene(package, "data/no_such.png", "train")
        with pytest.raises(FileNotFoundError, match=f"{package} should ship data/no_such.png"):
            sample_photos._find(scene)
