"""Signatures are made once a picture, and anew where its file is another."""

import os

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from input_pipeline.checks import kept_signatures
from input_pipeline.checks.kept_signatures import KeptSignatures
from input_pipeline.checks.look_alikes import find_alike
from input_pipeline.checks.signatures import sign_picture, unknown_signature
from input_pipeline.tables.manifest import read_manifest

SCENES = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]


@pytest.fixture
def manifest(tmp_path):
    """Three pictures, and one file that is none."""
    for number, image in enumerate(SCENES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "manifest.csv").write_text("path\n0.png\n1.png\n2.png\nbad.png\n")
    return read_manifest(tmp_path / "manifest.csv", None)


def keep(manifest, folder):
    """Makes what is missing; returns that, the signatures, and what progress was told."""
    kept, told = KeptSignatures(manifest, folder, 10**6), []
    missing = list(kept.missing)
    if missing:
        kept.make(2, told.append)
    return missing, kept.signatures, told


def test_what_is_kept_is_not_read_again(manifest, tmp_path, monkeypatch):
    missing, first, told = keep(manifest, tmp_path / "kept")
    assert missing == [0, 1, 2, 3] and told == [1, 2, 3, 4]
    assert first[3] == unknown_signature() and first["content"][:3].all()
    monkeypatch.setattr(kept_signatures, "decode", None)
    missing, second, _ = keep(manifest, tmp_path / "kept")
    assert missing == []
    np.testing.assert_array_equal(first, second)
    # A size limit that refuses other pictures is another reading.
    assert KeptSignatures(manifest, tmp_path / "kept", 10**5).missing == [0, 1, 2, 3]


def test_another_file_is_read_anew_and_one_that_is_gone_is_like_nothing(manifest, tmp_path):
    _, first, _ = keep(manifest, tmp_path / "kept")
    Image.fromarray(SCENES[2]).save(tmp_path / "0.png")
    (tmp_path / "1.png").unlink()
    missing, second, _ = keep(manifest, tmp_path / "kept")
    assert missing == [0, 1]
    assert second[0] == first[2] and second[2] == first[2]
    assert second[1] == unknown_signature()
    Image.fromarray(SCENES[1]).save(tmp_path / "1.png")
    missing, third, _ = keep(manifest, tmp_path / "kept")
    assert missing == [1] and third["perceptual_hash"][1] == first["perceptual_hash"][1]


@pytest.mark.parametrize("content", [b"", b"no array", "other"])
def test_a_file_of_signatures_that_is_damaged_is_made_anew(manifest, tmp_path, content):
    _, first, _ = keep(manifest, tmp_path / "kept")
    (path,) = (tmp_path / "kept").iterdir()
    if content == "other":
        np.save(path, np.zeros(3))
    else:
        path.write_bytes(content)
    missing, second, _ = keep(manifest, tmp_path / "kept")
    assert missing == [0, 1, 2, 3]
    np.testing.assert_array_equal(first, second)


def test_a_large_picture_looks_as_it_does_whole(tmp_path):
    large = [cv2.resize(image, (2048, 1536)) for image in SCENES]
    for number, image in enumerate(large):
        Image.fromarray(image).save(tmp_path / f"{number}.jpg", quality=95)
    (tmp_path / "manifest.csv").write_text("path\n0.jpg\n1.jpg\n2.jpg\n")
    manifest = read_manifest(tmp_path / "manifest.csv", None)
    kept = KeptSignatures(manifest, tmp_path / "kept", 10**7)
    kept.make(1, lambda done: None)
    whole = np.array([sign_picture(image, os.urandom(8)) for image in large])
    bits = np.bitwise_count(kept.signatures["perceptual_hash"] ^ whole["perceptual_hash"])
    assert bits.max() <= 2  # A coefficient beside the median may fall to its other side.
    difference = kept.signatures["thumbnail"].astype(int) - whole["thumbnail"]
    assert abs(difference).max() <= 2


def test_a_picture_of_tiles_looks_like_the_picture(tmp_path):
    rows = ["path,image,row,column"]
    for name, image in zip("ab", SCENES[:2], strict=True):
        for row in range(2):
            for column in range(2):
                tile = image[row * 128 :, column * 128 :][:128, :128]
                path = f"{name}{row}{column}.png"
                Image.fromarray(np.ascontiguousarray(tile)).save(tmp_path / path)
                rows.append(f"{path},{name},{row},{column}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    manifest = read_manifest(tmp_path / "manifest.csv", None)
    missing, found, _ = keep(manifest, tmp_path / "kept")
    assert missing == [0, 1]
    whole = [sign_picture(image[:256, :256].copy(), os.urandom(8)) for image in SCENES[:2]]
    pairs = [
        pair
        for part in find_alike(found, np.array(whole))
        for pair in zip(part.query.tolist(), part.reference.tolist(), strict=True)
    ]
    assert pairs == [(0, 0), (1, 1)]
    Image.fromarray(SCENES[2][:128, :128].copy()).save(tmp_path / "b11.png")
    assert KeptSignatures(manifest, tmp_path / "kept", 10**6).missing == [1]
