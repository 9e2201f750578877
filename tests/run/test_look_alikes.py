"""`data.group_near_duplicates`: wherever labels are read, images that look alike are a group."""

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from input_pipeline.checks import kept_signatures
from input_pipeline.checks.leaks import identify_images
from iqa_jax.modes import protocol
from iqa_jax.modes.check import check
from iqa_jax.run import build, look_alikes
from iqa_jax.run.seen import Seen
from iqa_jax.studies.splits import draw_splits
from tiny import make_tiny_config

TAKES = 4


@pytest.fixture
def bursts(tmp_path):
    """The config of a manifest of twelve scenes, four takes each, without groups and splits."""
    photos = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    rng, rows = np.random.default_rng(0), ["path,label"]
    for number in range(12):
        photo, quarter = photos[number % 3], number // 3
        height, width = (side // 2 for side in photo.shape[:2])
        top, left = height * (quarter // 2), width * (quarter % 2)
        scene = photo[top : top + height, left : left + width]
        for take in range(TAKES):
            image = cv2.GaussianBlur(scene, (0, 0), 0.5 + take)
            noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
            path = f"{number}_{take}.png"
            Image.fromarray(noisy).save(tmp_path / path)
            rows.append(f"{path},{('good', 'good', 'bad', 'bad')[take]}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    config = make_tiny_config(tmp_path / "manifest.csv")
    config.data.features = ()
    config.data.fractions = (0.5, 0.25, 0.25)
    config.data.group_near_duplicates = True
    config.host.signature_folder = str(tmp_path / "signatures")
    return config


def scene_of(images):
    return images["name"].str.partition("_")[0]


def test_no_burst_is_in_two_drawn_splits(bursts):
    for seed in range(3):
        bursts.seed = seed
        images = build.manifest_from_config(bursts).images
        assert set(images["split"]) == {"train", "val", "test"}
        assert (images.groupby(scene_of(images))["split"].nunique() == 1).all()
        assert images["group"].tolist() == [
            f"look-alikes of {scene}_0.png" for scene in scene_of(images)
        ]
    bursts.data.group_near_duplicates = False
    images = build.manifest_from_config(bursts).images
    assert (images.groupby(scene_of(images))["split"].nunique() > 1).any()


def test_the_splits_of_a_protocol_part_no_burst(bursts):
    whole = protocol._read_whole(bursts, bursts.data.manifest, "all")
    drawn = draw_splits(
        whole.images, "k_fold", splits=3, fractions=bursts.protocol.fractions, seed=bursts.seed
    )
    for split in drawn:
        places = whole.images.assign(split=split).groupby(scene_of(whole.images))["split"]
        assert (places.nunique() == 1).all()


def test_pictures_are_read_and_compared_once(bursts, monkeypatch, capsys):
    look_alikes._cluster.cache_clear()  # Another test has the same pictures.
    first = build.manifest_from_config(bursts)
    said = capsys.readouterr().out
    assert "48 of 48 images look like another: 12 groups of them, the largest of 4" in said
    assert "signatures of 48/48" in said
    monkeypatch.setattr(kept_signatures, "decode", None)
    assert build.manifest_from_config(bursts).digest == first.digest
    assert capsys.readouterr().out == ""
    look_alikes._cluster.cache_clear()  # As another start.
    assert build.manifest_from_config(bursts).digest == first.digest


def test_an_image_is_known_as_seen_by_its_look_alikes(bursts):
    manifest = build.manifest_from_config(bursts)
    known = identify_images(manifest, build.source_from_config(bursts, manifest))
    trained, tested = known.iloc[::TAKES], known.drop(known.index[::TAKES])
    seen = Seen(trained.assign(split="train", run=""))
    assert seen.among(tested).all()


def test_nothing_is_compared_where_no_labels_are_read(bursts, monkeypatch):
    monkeypatch.setattr(kept_signatures, "decode", None)
    images = build.manifest_from_config(bursts, labelled=False).images
    assert images["group"].equals(images["name"])


def test_given_splits_that_part_a_burst_are_refused(bursts, capsys):
    path = bursts.data.manifest
    rows = open(path).read().split()
    split = ["split"] + [("train", "val")[number // TAKES % 2] for number in range(len(rows) - 1)]
    split[3], split[4] = "val", "test"  # Of the first scene.
    with open(path, "w") as file:
        file.write("\n".join(f"{row},{name}" for row, name in zip(rows, split, strict=True)))
    assert check(bursts) == 1
    said = capsys.readouterr().out
    assert "errors: 1\n" in said
    assert (
        "group 'look-alikes of 0_0.png' is in more than one split: "
        "rows 2, 3 in 'train' and row 4 in 'val' and row 5 in 'test'"
    ) in said
    bursts.data.group_near_duplicates = False
    assert check(bursts) == 0
    assert "0_0.png and 0_2.png look alike" in capsys.readouterr().out
