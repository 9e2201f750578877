"""Every format, mode and orientation ends in the same picture; bad files end in a sentence."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image, ImageFile, ImageOps

from input_pipeline.files import images
from input_pipeline.files.reduction import Reduction

LIMIT = 10_000_000


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()[100:220, 180:340]


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def encode_png(samples, color_type):
    """Writes 16-bit samples [height, width, channel], which Pillow cannot."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(">u2"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
        for tag, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


def decode(data):
    image = images.decode(data, max_pixels=LIMIT)
    assert image.dtype == np.uint8 and image.flags.c_contiguous and not image.flags.writeable
    return image


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_return_the_pixels_in_rgb_order(photo, kind, options):
    np.testing.assert_array_equal(decode(encode(photo, kind, **options)), photo)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_keep_rgb_order(kind):
    colors = np.zeros((48, 48, 3), np.uint8)
    for channel in range(3):
        colors[:, 16 * channel : 16 * channel + 16, channel] = 200
    decoded = decode(encode(colors, kind, quality=95)).astype(int)
    assert np.abs(decoded - colors)[:, [8, 24, 40]].max() < 12


def test_grey_is_repeated_over_the_channels(photo):
    grey = photo[..., 0]
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(decode(encode(grey, kind)), np.stack([grey] * 3, -1))


def test_one_bit_becomes_black_and_white(photo):
    is_bright = photo[..., 0] > 128
    for kind in ("PNG", "TIFF"):
        decoded = decode(encode(is_bright, kind))
        np.testing.assert_array_equal(decoded, 255 * np.stack([is_bright] * 3, -1))


def test_transparent_pixels_are_laid_over_white(photo):
    alpha = np.linspace(0, 255, photo.shape[1]).astype(np.uint8)
    alpha = np.broadcast_to(alpha, photo.shape[:2])
    weight = alpha[..., None] / 255
    expected = photo * weight + 255 * (1 - weight)
    rgba = np.dstack([photo, alpha])
    for data in (encode(rgba, "PNG"), encode(rgba, "WEBP", lossless=True, exact=True)):
        assert np.abs(decode(data) - expected).max() <= 1
    grey = decode(encode(np.dstack([photo[..., 0], alpha]), "PNG"))
    assert np.abs(grey - expected[..., :1]).max() <= 1


def test_palette_with_and_without_a_transparent_colour(photo):
    palette = Image.fromarray(photo).quantize(16)
    colors = np.array(palette.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(palette, "PNG")), colors)
    colors[np.asarray(palette) == 3] = 255
    np.testing.assert_array_equal(decode(encode(palette, "PNG", transparency=3)), colors)


def test_cmyk_is_multiplied_out_also_from_inverted_jpeg():
    ink = np.zeros((32, 64, 4), np.uint8)
    ink[:, 32:, 1] = ink[:, 32:, 2] = 255  # magenta + yellow print red
    expected = np.full((32, 64, 3), 255)
    expected[:, 32:, 1:] = 0
    picture = Image.fromarray(ink, "CMYK")
    np.testing.assert_array_equal(decode(encode(picture, "TIFF")), expected)
    jpeg = encode(picture, "JPEG", quality=95)
    assert b"Adobe" in jpeg
    assert np.abs(decode(jpeg)[:, [8, 48]].astype(int) - expected[:, [8, 48]]).max() < 8


def test_16_bits_are_scaled_and_not_clipped(photo):
    grey, alpha = photo[..., :1], np.full_like(photo[..., :1], 255)
    wide = photo.astype(np.uint16) * 257
    expected_grey = np.repeat(grey, 3, axis=-1)
    for data, expected in (
        (encode_png(wide, 2), photo),
        (encode_png(np.dstack([wide, alpha.astype(np.uint16) * 257]), 6), photo),
        (encode_png(wide[..., :1], 0), expected_grey),
        (encode_png(np.dstack([wide[..., :1], alpha.astype(np.uint16) * 257]), 4), expected_grey),
        (encode_tiff(wide, photometric="rgb"), photo),
        (encode_tiff(wide, photometric="rgb", byteorder=">"), photo),
        (encode_tiff(wide[..., 0]), expected_grey),
        (encode_tiff(wide[..., 0], byteorder=">"), expected_grey),
    ):
        np.testing.assert_array_equal(decode(data), expected)


def test_every_16_bit_value_comes_within_one_level():
    values = np.arange(65536).reshape(256, 256, 1)
    for data in (encode_png(values, 0), encode_png(np.repeat(values, 3, -1), 2)):
        assert np.abs(decode(data) - values / 257).max() < 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_picture_and_size(tmp_path, kind, orientation):
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :16] = 250  # top left
    upright[:16, 32:] = 120  # top right
    turns = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x),  # stored turned left, shown turned right
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turns[orientation](upright))
    path = tmp_path / "photo"
    path.write_bytes(encode(stored, kind, exif=exif))
    decoded = images.load(path)
    assert images.read_header(path)[:2] == decoded.shape[:2] == (32, 48)
    assert np.abs(decoded[8::16, 8::16].astype(int) - upright[8::16, 8::16]).max() < 10


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0, "quality": 98},
        {"subsampling": 1, "restart_marker_rows": 1},
        {"keep_rgb": True},
        {"mode": "L"},
        {"mode": "CMYK"},
    ],
)
def test_jpeg_pixels_are_those_of_pillow(photo, options):
    options = dict(options)
    picture = Image.fromarray(photo[:111, :157]).convert(options.pop("mode", "RGB"))
    for orientation in (1, 3, 6, 7):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(picture, "JPEG", exif=exif, **options)
        pillows = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        np.testing.assert_array_equal(decode(data), np.asarray(pillows))
    for missing in (1, 2, 3, 40):
        with pytest.raises(images.ImageError, match="cut short"):
            decode(data[:-missing])


def mean_of_squares(picture, shrink):
    """Averages squares of pixels; what is missing from the last ones repeats the border."""
    rows, columns = (-side % shrink for side in picture.shape[:2])
    whole = np.pad(picture, ((0, rows), (0, columns), (0, 0)), "edge").astype(float)
    height, width = (side // shrink for side in whole.shape[:2])
    return whole.reshape(height, shrink, width, shrink, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("shrink", [2, 4, 8])
@pytest.mark.parametrize(("kind", "error"), [("PNG", 0.51), ("WEBP", 0.51), ("JPEG", 8)])
def test_a_smaller_picture_has_the_means_of_squares(photo, tmp_path, kind, error, shrink):
    photo, path, exif = photo[:111, :157], tmp_path / "photo", Image.Exif()
    exif[0x0112] = 6
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    turned = mean_of_squares(np.rot90(photo, -1), shrink)
    if kind == "JPEG":  # Its squares begin where it is stored.
        turned = np.rot90(mean_of_squares(photo, shrink), -1)
    for expected, more in ((mean_of_squares(photo, shrink), {}), (turned, {"exif": exif})):
        path.write_bytes(encode(photo, kind, **options, **more))
        small = images.load(path, reduction=Reduction(shrink))
        height, width, _ = images.read_header(path)
        assert Reduction(shrink).sides(height, width) == small.shape[:2] == expected.shape[:2]
        assert np.abs(small - expected).max() <= error and small.std() > 20


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_smaller_jpeg_has_the_pixels_of_pillow(photo, shrink):
    for options in ({}, {"progressive": True}, {"mode": "L"}):
        picture = Image.fromarray(photo[:111, :157]).convert(options.pop("mode", "RGB"))
        data = encode(picture, "JPEG", **options)
        pillows = Image.open(io.BytesIO(data))
        pillows.draft(None, (157 // shrink, 111 // shrink))
        small = images.decode(data, max_pixels=LIMIT, reduction=Reduction(shrink))
        np.testing.assert_array_equal(small, np.asarray(pillows.convert("RGB")))
    cmyk = encode(Image.fromarray(photo).convert("CMYK"), "JPEG")
    small = images.decode(cmyk, max_pixels=LIMIT, reduction=Reduction(shrink))
    assert np.abs(small - mean_of_squares(decode(cmyk), shrink)).max() <= 0.51
    for missing in (1, 40):
        with pytest.raises(images.ImageError, match="cut short"):
            images.decode(data[:-missing], max_pixels=LIMIT, reduction=Reduction(shrink))


def test_size_is_read_without_decoding(photo, tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(encode(photo, "PNG")[:2000])
    assert images.read_header(path)[:2] == photo.shape[:2]
    with pytest.raises(images.ImageError, match="cut short"):
        images.load(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_truncated_and_corrupt_files_are_refused(photo, kind):
    data = encode(photo, kind)
    for length in (20, len(data) // 2, int(len(data) * 0.9)):
        with pytest.raises(images.ImageError, match="photo.jpg"):
            images.decode(data[:length], max_pixels=LIMIT, name="photo.jpg")


def test_declared_bomb_is_refused_from_its_header(tmp_path):
    png = bytearray(encode(np.zeros((1, 1, 3), np.uint8), "PNG"))
    png[16:24] = struct.pack(">II", 60_000, 60_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    bmp = bytearray(encode(np.zeros((1, 1, 3), np.uint8), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    for data in (png, bmp):
        path = tmp_path / "bomb"
        path.write_bytes(data)
        for read in (images.load, images.read_header):
            with pytest.raises(images.ImageError, match="60000x60000 .* limit"):
                read(path)


def test_limit_is_inclusive_and_ours_alone(monkeypatch, photo):
    pixels = photo.shape[0] * photo.shape[1]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("PNG", "JPEG", "BMP"):
            images.decode(encode(photo, kind), max_pixels=pixels)
    with pytest.raises(images.ImageError, match="limit"):
        images.decode(encode(photo, "PNG"), max_pixels=pixels - 1)


def test_pillow_told_to_accept_truncated_files_is_noticed(monkeypatch, photo):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(images.ImageError, match="LOAD_TRUNCATED_IMAGES"):
        decode(encode(photo, "JPEG"))


@pytest.mark.parametrize(
    "samples",
    [
        np.ones((4, 5), np.float32),
        np.ones((4, 5, 3), np.float32),
        np.ones((4, 5), np.uint32),
        np.ones((4, 5), np.int16),
    ],
)
def test_samples_without_a_display_range_are_refused(samples):
    with pytest.raises(images.ImageError, match="bit"):
        decode(encode_tiff(samples, photometric="rgb" if samples.ndim == 3 else "minisblack"))


def test_white_is_zero_16_bit_is_refused_and_never_a_negative(photo):
    with pytest.raises(images.ImageError, match="white-is-zero"):
        decode(encode_tiff(photo[..., 0].astype(np.uint16), photometric="miniswhite"))
    inverted = decode(encode_tiff(photo[..., 0], photometric="miniswhite"))
    np.testing.assert_array_equal(inverted[..., 0], 255 - photo[..., 0])


def test_one_pixel_is_an_image(tmp_path):
    path = tmp_path / "one.png"
    path.write_bytes(encode(np.full((1, 1, 3), 7, np.uint8), "PNG"))
    np.testing.assert_array_equal(images.load(path), [[[7, 7, 7]]])
    assert images.read_header(path)[:2] == (1, 1)


def test_bad_files_end_in_a_sentence_that_names_them(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("Dear diary, this is no photograph.")
    (tmp_path / "sound.webp").write_bytes(b"RIFF\x24\0\0\0WAVEfmt " + bytes(40))
    (tmp_path / "folder.png").mkdir()
    for name, reason in {
        "empty.jpg": "zero bytes",
        "text.jpg": "not an image",
        "sound.webp": "unknown kind",
        "folder.png": "folder",
        "missing.png": "no such file",
    }.items():
        for read in (images.load, images.read_header):
            with pytest.raises(images.ImageError, match=f"{name}.*{reason}.*[.]"):
                read(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_a_sentence(photo, tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encode(photo, "PNG"))
    path.chmod(0)
    with pytest.raises(images.ImageError, match="secret.png.*permission"):
        images.load(path)
