"""Colours that a file says are not sRGB are converted to it, alike however the file is read."""

import io
import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from input_pipeline.files import images
from input_pipeline.files.color_profiles import (
    SRGB_GAMMA,
    SRGB_PRIMARIES,
    SRGB_WHITE,
    BadProfile,
    make_profile,
    to_srgb,
)
from input_pipeline.files.reduction import Reduction
from input_pipeline.files.windows import open_bands
from made_files import DISPLAY_P3, P3
from tiff_writer import write_tiff

PHOTO = skimage.data.astronaut()[100:160, 180:260]
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_light(samples, gamma):
    values = samples / 255
    if gamma != SRGB_GAMMA:
        return values**gamma
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def xyz_of(primaries):
    """Gives the matrix from light to XYZ."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    x, y = SRGB_WHITE
    return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])


def converted(photo, primaries, gamma):
    """Works sRGB out from the definitions, without a profile."""
    matrix = np.linalg.inv(xyz_of(SRGB_PRIMARIES)) @ xyz_of(primaries)
    light = np.clip(to_light(photo.astype(float), gamma) @ matrix.T, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_chunks(png, **chunks):
    """Puts chunks behind the header of a PNG."""
    extra = b"".join(
        struct.pack(">I", len(body)) + name.encode() + body
        + struct.pack(">I", zlib.crc32(name.encode() + body))
        for name, body in chunks.items()
    )  # fmt: skip
    return png[:33] + extra + png[33:]


def ink_profile():
    """Writes a profile for CMYK in which any ink is as good as black, whatever its colour."""
    ramp = bytes(range(256))
    bare = [255 * all(ink == 0 for ink in inks) for inks in itertools.product((0, 1), repeat=4)]
    grid = bytes(value for level in bare for value in (level, 128, 128))
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int).ravel()))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    table += bytes(-len(table) % 4)
    header = struct.pack(">I4xI", 144 + len(table), 0x02400000) + b"prtrCMYKLab "
    header = header.ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    entries = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    return header.ljust(128, b"\0") + entries + table


def grey_profile():
    """Makes one for grey pictures of the one for colours: with a curve and nothing else."""
    curve = b"curv" + struct.pack(">4xIHxx", 1, round(1.8 * 256))
    white = b"XYZ " + struct.pack(">4x3i", 63190, 65536, 54061)
    entries = struct.pack(">I4sII4sII", 2, b"kTRC", 156, 16, b"wtpt", 172, 20)
    header = struct.pack(">I4xI", 192, 0x02400000) + b"mntrGRAYXYZ "
    return header + P3[len(header) : 128] + entries + curve + white


GREY_18 = grey_profile()


def decode(data, **options):
    warnings = []
    pixels = images.decode(data, max_pixels=10**7, warn=warnings.append, **options)
    return pixels, warnings


ENCODERS = {
    "PNG": lambda profile: encode(PHOTO, "PNG", icc_profile=profile),
    "WebP": lambda profile: encode(PHOTO, "WEBP", lossless=True, icc_profile=profile),
    "TIFF": lambda profile: encode(PHOTO, "TIFF", icc_profile=profile),
    "16 bit TIFF": lambda profile: write_tiff(
        PHOTO.astype(np.uint16) * 257, 2, more={34675: ("b", profile)}
    ),
    "JPEG": lambda profile: encode(PHOTO, "JPEG", quality=95, icc_profile=profile),
}


@pytest.mark.parametrize(
    ("primaries", "gamma"), [(DISPLAY_P3, SRGB_GAMMA), (ADOBE_RGB, 563 / 256), (ADOBE_RGB, 1.8)]
)
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_profile_is_applied_in_every_format(kind, primaries, gamma):
    pixels, warnings = decode(ENCODERS[kind](make_profile(SRGB_WHITE, primaries, gamma)))
    bare, _ = decode(ENCODERS[kind](SRGB))
    error = np.abs(pixels - converted(bare, primaries, gamma))
    # LittleCMS interpolates the steep end of the curves.
    assert error.max() <= 3 and error.mean() < 0.5 and not warnings
    assert np.abs(pixels.astype(int) - bare).max() > 10


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_profile_of_srgb_changes_no_bit(kind):
    own = make_profile(SRGB_WHITE, SRGB_PRIMARIES, SRGB_GAMMA)
    pixels = [decode(ENCODERS[kind](profile))[0] for profile in (SRGB, own)]
    np.testing.assert_array_equal(*pixels)
    if kind != "JPEG":
        np.testing.assert_array_equal(pixels[0], PHOTO)


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_profile_that_cannot_be_used_is_a_warning_and_no_change(kind):
    bare, _ = decode(ENCODERS[kind](SRGB))
    for profile, reason in (
        (b"no profile" * 20, "damaged"),
        (P3[:200], "damaged"),
        (ink_profile(), "for CMYK and not for RGB"),
        (P3.replace(b"rXYZ", b"xXYZ"), "cannot be used"),
    ):
        pixels, warnings = decode(ENCODERS[kind](profile))
        np.testing.assert_array_equal(pixels, bare)
        assert len(warnings) == 1 and reason in warnings[0] and "taken as sRGB" in warnings[0]


def test_opacity_is_kept_and_laid_over_white_after_the_conversion():
    alpha = np.broadcast_to(np.linspace(0, 255, 80).astype(np.uint8), (60, 80))
    pixels, _ = decode(encode(np.dstack([PHOTO, alpha]), "PNG", icc_profile=P3))
    opaque, _ = decode(encode(PHOTO, "PNG", icc_profile=P3))
    weight = alpha[..., None] / 255
    assert np.abs(pixels - (opaque * weight + 255 * (1 - weight))).max() <= 1


def test_grey_pictures_and_inks_are_converted():
    expected = converted(np.repeat(PHOTO[..., :1], 3, axis=2), SRGB_PRIMARIES, 1.8)
    for profile in (make_profile(SRGB_WHITE, ADOBE_RGB, 1.8), GREY_18):
        pixels, warnings = decode(encode(PHOTO[..., 0], "PNG", icc_profile=profile))
        assert np.abs(pixels - expected).max() <= 2 and not warnings
    alpha = np.full_like(PHOTO[..., 0], 255)
    pair = encode(np.dstack([PHOTO[..., 0], alpha]), "PNG", icc_profile=GREY_18)
    pixels, warnings = decode(pair)
    assert np.abs(pixels - expected).max() <= 2 and not warnings
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, 16:, 1] = 255
    picture = Image.fromarray(ink, "CMYK")
    for kind in ("TIFF", "JPEG"):
        bare, _ = decode(encode(picture, kind))
        pixels, warnings = decode(encode(picture, kind, icc_profile=ink_profile()))
        assert not warnings and np.ptp(bare[8, 24].astype(int)) > 200
        assert pixels[8, 8].min() > 250 and pixels[8, 24].max() < 5


def test_a_png_may_say_its_colours_in_other_ways():
    png = encode(PHOTO, "PNG")
    adobe = [0.3127, 0.3290, *itertools.chain(*ADOBE_RGB)]
    places = struct.pack(">8I", *(round(100000 * value) for value in adobe))
    gamma_18, gamma_22 = (struct.pack(">I", round(100000 / gamma)) for gamma in (1.8, 2.2))
    for chunks, primaries, gamma in (
        ({"cICP": bytes([12, 13, 0, 1])}, DISPLAY_P3, SRGB_GAMMA),
        ({"gAMA": gamma_18}, SRGB_PRIMARIES, 1.8),
        ({"cHRM": places, "gAMA": gamma_18}, ADOBE_RGB, 1.8),
        ({"cHRM": places, "gAMA": gamma_22}, ADOBE_RGB, SRGB_GAMMA),
    ):
        pixels, warnings = decode(with_chunks(png, **chunks))
        error = np.abs(pixels - converted(PHOTO, primaries, gamma))
        assert error.max() <= 3 and error.mean() < 0.5 and not warnings
    for chunks in (
        {"gAMA": gamma_22},
        {"sRGB": b"\0", "gAMA": gamma_18, "cHRM": places},
        {"cICP": bytes([1, 13, 0, 1]), "gAMA": gamma_18},
    ):
        np.testing.assert_array_equal(decode(with_chunks(png, **chunks))[0], PHOTO)
    for chunks in ({"cICP": bytes([9, 16, 0, 1])}, {"cHRM": bytes(32)}, {"iCCP": b"P3\0\0junk"}):
        pixels, (warning,) = decode(with_chunks(png, **chunks))
        np.testing.assert_array_equal(pixels, PHOTO)
        assert "taken as sRGB" in warning


def test_bands_and_smaller_pictures_have_the_same_colours(tmp_path):
    path = tmp_path / "photo.tif"
    for planar in (1, 2):
        more = {34675: ("b", P3)}
        path.write_bytes(write_tiff(PHOTO, 2, planar=planar, rows_per_strip=7, more=more))
        whole = images.load(path)
        np.testing.assert_array_equal(open_bands(path, 0).read(5, 40), whole[5:40])
        assert (whole != PHOTO).any()
    for shrink in (2, 8):
        bare, _ = decode(encode(PHOTO, "JPEG"), reduction=Reduction(shrink))
        pixels, _ = decode(encode(PHOTO, "JPEG", icc_profile=P3), reduction=Reduction(shrink))
        np.testing.assert_array_equal(pixels, np.asarray(to_srgb(Image.fromarray(bare), P3)))


def test_threads_convert_alike():
    data = [ENCODERS["PNG"](P3), ENCODERS["PNG"](make_profile(SRGB_WHITE, ADOBE_RGB, 2.2))]
    expected = [decode(one)[0] for one in data]
    with ThreadPoolExecutor(8) as threads:
        for number, pixels in enumerate(threads.map(lambda n: decode(data[n % 2])[0], range(64))):
            np.testing.assert_array_equal(pixels, expected[number % 2])


def test_impossible_primaries_are_a_bad_profile():
    with pytest.raises(BadProfile, match="impossible"):
        make_profile(SRGB_WHITE, ((0.3, 0.0), (0.3, 0.6), (0.15, 0.06)), 2.2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_pillow_image_is_converted_as_its_file(kind):
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, kind, icc_profile=P3)
    found = images.from_pillow(Image.open(data), max_pixels=10**6).astype(int)
    expected = images.decode(data.getvalue(), max_pixels=10**6).astype(int)
    # Pillow's own decoder of JPEGs may round otherwise.
    np.testing.assert_allclose(found, expected, atol=4 if kind == "JPEG" else 0)
    ignored = np.asarray(Image.open(data).convert("RGB")).astype(int)
    assert np.abs(ignored - expected).mean() > 1
