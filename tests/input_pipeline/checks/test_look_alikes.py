"""Pictures that look alike are found among all pairs, copies and no others."""

import cv2
import numpy as np
import pytest
import skimage.data

from input_pipeline.checks import look_alikes
from input_pipeline.checks.look_alikes import (
    LEAST_CORRELATION,
    MOST_BITS,
    cluster,
    find_alike,
)
from input_pipeline.checks.signatures import SIGNATURE, sign_picture, unknown_signature

SCENES = [
    skimage.data.astronaut(),
    skimage.data.chelsea(),
    skimage.data.coffee(),
    skimage.data.rocket(),
]


def sign(image, content):
    return sign_picture(np.ascontiguousarray(image), int(content).to_bytes(8, "little"))


def crop(image, share):
    margins = [round(side * share / 2) for side in image.shape[:2]]
    return image[margins[0] : -margins[0], margins[1] : -margins[1]]


def draw_signatures(count, seed):
    """Makes signatures of which many have near hashes, and of these some near thumbnails."""
    rng = np.random.default_rng(seed)
    signatures = np.zeros(count, SIGNATURE)
    flips = rng.random((count, 64)) < 0.12
    originals = np.random.default_rng(7).integers(0, 2, (8, 64))
    bits = originals[rng.integers(8, size=count)] ^ flips
    signatures["perceptual_hash"] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    base = np.random.default_rng(8).integers(0, 200, 256)
    signatures["thumbnail"] = base + rng.integers(0, 80, (count, 1)) * rng.random((count, 256))
    signatures["is_flat"] = rng.random(count) < 0.1
    signatures["content"] = 1 + rng.permutation(count)
    return signatures


def are_alike(one, other):
    """The rule, for two signatures, in other words."""
    if one["is_flat"] or other["is_flat"]:
        return None
    bits = (int(one["perceptual_hash"]) ^ int(other["perceptual_hash"])).bit_count()
    correlation = np.corrcoef(one["thumbnail"], other["thumbnail"])[0, 1]
    return bits if bits <= MOST_BITS and correlation >= LEAST_CORRELATION else None


def make_blocks_small(monkeypatch):
    monkeypatch.setattr(look_alikes, "_QUERIES", 5)
    monkeypatch.setattr(look_alikes, "_REFERENCES", 7)
    monkeypatch.setattr(look_alikes, "_PAIRS_LOOKED_AT", 3)
    monkeypatch.setattr(look_alikes, "_EDGES_KEPT", 11)


def listed(found):
    return sorted(
        (int(query), int(reference), int(bits))
        for part in found
        for query, reference, bits in zip(*part, strict=True)
    )


def test_the_pairs_are_those_of_a_plain_search(monkeypatch):
    make_blocks_small(monkeypatch)
    queries, references = draw_signatures(37, 0), draw_signatures(41, 1)
    plain = [
        (query, reference, bits)
        for query, one in enumerate(queries)
        for reference, other in enumerate(references)
        if (bits := are_alike(one, other)) is not None
    ]
    assert 20 < len(plain) < 37 * 41 // 8  # Some are alike, most are not.
    assert listed(find_alike(queries, references)) == plain
    within = [
        (first, second, bits)
        for first, one in enumerate(references)
        for second, other in enumerate(references)
        if first < second and (bits := are_alike(one, other)) is not None
    ]
    assert listed(find_alike(references, references)) == within


def test_a_cluster_is_what_hangs_together(monkeypatch):
    make_blocks_small(monkeypatch)
    signatures = draw_signatures(80, 2)
    flat = np.flatnonzero(signatures["is_flat"])
    signatures["content"][flat[:2]] = 99  # The same file twice.
    signatures[-1] = signatures[-2] = unknown_signature()
    plain = list(range(80))
    for first in range(80):
        for second in range(first):
            is_same = {first, second} == {*flat[:2]}
            if is_same or are_alike(signatures[first], signatures[second]) is not None:
                old, new = plain[first], plain[second]
                plain = [new if number == old else number for number in plain]
    sizes = np.unique(plain, return_counts=True)[1]
    assert sizes.max() > 4 and 15 < len(sizes) < 60
    same = np.equal.outer(plain, plain)
    found = cluster(signatures)
    np.testing.assert_array_equal(np.equal.outer(found, found), same)


@pytest.mark.parametrize(
    "degrade",
    [
        lambda image: cv2.GaussianBlur(image, (0, 0), 5),
        lambda image: cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 10])[1], cv2.IMREAD_COLOR),
        lambda image: (128 + 0.3 * (image.astype(float) - 128)).astype(np.uint8),
        lambda image: (image * 0.4).astype(np.uint8),
        lambda image: np.clip(
            image + np.random.default_rng(0).normal(0, 40, image.shape), 0, 255
        ).astype(np.uint8),
        lambda image: crop(image, 0.05),
    ],
    ids=["blur", "quarter", "jpeg", "contrast", "dark", "noise", "crop"],
)
def test_a_degraded_copy_looks_like_its_scene_and_no_other(degrade):
    scenes = np.array([sign(image, 1 + number) for number, image in enumerate(SCENES)])
    copies = np.array([sign(degrade(image), 11 + number) for number, image in enumerate(SCENES)])
    pairs = [(query, reference) for query, reference, _ in listed(find_alike(copies, scenes))]
    assert pairs == [(number, number) for number in range(len(SCENES))]


def test_crops_of_different_scenes_do_not_look_alike():
    rng, signatures, scene_of = np.random.default_rng(0), [], []
    for number, image in enumerate(SCENES):
        for _ in range(100):
            size = rng.integers(128, min(image.shape[:2]))
            top, left = (rng.integers(0, side - size) for side in image.shape[:2])
            signatures.append(sign(image[top : top + size, left : left + size], len(scene_of) + 1))
            scene_of.append(number)
    found = listed(find_alike(signatures := np.array(signatures), signatures))
    assert len(found) > 100  # Of one scene.
    assert all(scene_of[first] == scene_of[second] for first, second, _ in found)


def test_flat_pictures_are_alike_only_as_equal_files():
    rng = np.random.default_rng(0)
    images = [20 + rng.integers(-2, 3, (64, 64, 3)) for _ in range(3)]
    signatures = np.array(
        [
            sign(image.astype(np.uint8), content)
            for image, content in zip(images, (5, 6, 5), strict=True)
        ]
    )
    assert signatures["is_flat"].all()
    assert cluster(signatures).tolist() == [0, 1, 0]
