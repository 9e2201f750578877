"""Pictures brought down to a reference side: never up, exact where it is said, near elsewhere."""

import io

import cv2
import numpy as np
import pytest
import simplejpeg
import skimage.data
from PIL import Image

from input_pipeline.files import images
from input_pipeline.files.reduction import Reduction, average_areas
from made_files import P3

# A smooth photograph of 1200 × 900, as a camera's is at its own size.
PHOTO = cv2.resize(skimage.data.astronaut()[:384], (1200, 900), interpolation=cv2.INTER_CUBIC)


def encode(kind="JPEG", mode="RGB", pixels=PHOTO, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, kind, **options)
    return data.getvalue()


def decode(data, reference_side=0):
    reduction = Reduction(reference_side=reference_side)
    return images.decode(data, max_pixels=10**7, reduction=reduction)


@pytest.fixture
def decoded(monkeypatch):
    """Lists the shapes that the decoder of JPEGs is asked for."""
    shapes, plain = [], simplejpeg.decode_jpeg

    def noting(*arguments, **options):
        pixels = plain(*arguments, **options)
        shapes.append(pixels.shape[:2])
        return pixels

    monkeypatch.setattr(images.simplejpeg, "decode_jpeg", noting)
    return shapes


def shares(length, count):
    """Gives how much of each of so many equal areas lies on each pixel of a line."""
    edges = np.arange(count + 1) * length / count
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0) * count / length


def test_sides_are_exact_in_proportion_and_never_larger():
    rng = np.random.default_rng(0)
    reductions = [Reduction(reference_side=side) for side in (1, 224, 768)]
    for height, width in rng.integers(1, 9000, (1000, 2)).tolist():
        for reduction in reductions:
            side, sides = reduction.reference_side, reduction.sides(height, width)
            assert reduction.sides(width, height) == sides[::-1]
            if min(height, width) <= side:
                assert sides == (height, width) and reduction.codec_shrink(height, width) == 1
                continue
            assert min(sides) == side
            # The longer side to the nearest pixel.
            assert abs(max(sides) - max(height, width) * side / min(height, width)) <= 0.5
            assert sides[0] <= height and sides[1] <= width
            shrink = reduction.codec_shrink(height, width)
            assert all(-(-a // shrink) >= b for a, b in zip((height, width), sides, strict=True))
            # A half leaves at least twice the reference side, the others three times.
            least = {1: 1, 2: 4, 4: 12, 8: 24}[shrink]
            most = {1: 4, 2: 12, 4: 24, 8: 10**9}[shrink]
            assert least * side <= min(height, width) < most * side


@pytest.mark.parametrize("sides", [(30, 41), (100, 133), (450, 600), (640, 853)])
def test_each_pixel_is_the_mean_of_its_area(sides):
    expected = shares(900, sides[0]) @ PHOTO.astype(float).transpose(2, 0, 1)
    expected = (expected @ shares(1200, sides[1]).T).transpose(1, 2, 0)
    assert np.abs(average_areas(PHOTO, *sides) - expected).max() <= 0.51


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_no_larger_stays_as_it_is(kind):
    data = encode(kind)
    for side in (900, 901, 5000):
        np.testing.assert_array_equal(decode(data, side), decode(data))


@pytest.mark.parametrize(
    ("side", "stored"), [(37, 113), (38, 225), (75, 225), (76, 450), (225, 450)]
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}])
def test_a_jpeg_decoded_smaller_is_near_the_areas_of_the_whole(side, stored, options, decoded):
    data = encode(quality=95, **options)
    whole = Reduction(reference_side=side).apply(decode(data))
    decoded.clear()
    small = decode(data, side)
    assert [min(shape) for shape in decoded] == [stored]
    assert small.shape == whole.shape and min(small.shape[:2]) == side
    assert np.abs(small.astype(int) - whole).mean() < 2.5 and small.std() > 40
    # Nearly as sharp, too.
    found, expected = (
        cv2.Laplacian(picture[..., 1], cv2.CV_32F).std() for picture in (small, whole)
    )
    assert 0.9 < found / expected < 1.05


def test_a_jpeg_that_is_not_decoded_smaller_has_the_areas_of_the_whole(decoded):
    data = encode()
    np.testing.assert_array_equal(decode(data, 226), average_areas(decode(data), 226, 301))
    assert decoded == [(900, 1200), (900, 1200)]


@pytest.mark.parametrize("options", [{}, {"icc_profile": P3}, {"mode": "CMYK"}])
def test_turned_pictures_come_upright_and_their_colours_as_ever(options):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(quality=95, exif=exif, **options)
    small, whole = decode(data, 200), decode(data)
    assert small.shape == (267, 200, 3) and whole.shape == (1200, 900, 3)
    assert np.abs(small.astype(int) - average_areas(whole, 267, 200)).mean() < 2


def test_both_ways_at_once_are_refused():
    with pytest.raises(ValueError, match=r"tiles\.shrink is 2 and tiles\.reference_side 512"):
        Reduction(2, 512)
