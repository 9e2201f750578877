"""A signature is what its description says: signs of the lowest frequencies, and a thumbnail."""

import cv2
import numpy as np
import scipy.fft
import skimage.data

from input_pipeline.checks.signatures import SIGNATURE, sign_picture, unknown_signature

PHOTO = skimage.data.astronaut()


def test_the_hash_is_of_the_signs_of_the_lowest_frequencies():
    found = sign_picture(PHOTO, b"12345678 and more")
    grey = PHOTO @ (0.299, 0.587, 0.114)
    thumbnail = grey.reshape(32, 16, 32, 16).mean(axis=(1, 3))
    lowest = scipy.fft.dctn(thumbnail, norm="ortho")[:8, :8].ravel()
    expected = np.packbits(lowest > np.median(lowest)).view(np.uint64)[0]
    # Grey levels are rounded there: a coefficient beside the median may fall to its other side.
    assert np.bitwise_count(found["perceptual_hash"] ^ expected) <= 2
    small = grey.reshape(16, 32, 16, 32).mean(axis=(1, 3)).ravel()
    assert np.abs(found["thumbnail"] - small).max() <= 1.5
    assert not found["is_flat"]
    assert found["content"] == np.frombuffer(b"12345678", np.uint64)[0]


def test_only_the_content_tells_pictures_without_structure():
    flat = np.full((40, 60, 3), 90, np.uint8)
    assert sign_picture(flat, b"00000001")["is_flat"]
    # Half of it is four grey levels lighter: two levels from the mean.
    flat[:, 30:] += 4
    assert sign_picture(flat, b"00000001")["is_flat"]
    flat[:, 30:] += 5
    assert not sign_picture(flat, b"00000001")["is_flat"]


def test_size_and_colour_order_hardly_matter_and_turning_does():
    plain = sign_picture(PHOTO, b"00000001")["perceptual_hash"]
    half = sign_picture(cv2.resize(PHOTO, (256, 256), interpolation=cv2.INTER_AREA), b"00000002")
    assert np.bitwise_count(plain ^ half["perceptual_hash"]) <= 2
    turned = sign_picture(np.ascontiguousarray(PHOTO[:, ::-1]), b"00000003")["perceptual_hash"]
    assert np.bitwise_count(plain ^ turned) > 16


def test_what_cannot_be_read_is_like_nothing():
    unknown = unknown_signature()
    assert unknown.dtype == SIGNATURE and unknown["is_flat"] and unknown["content"] == 0
