"""Rare kinds of PNG, BMP and moving pictures give the pixels that their format says."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image

from input_pipeline.files import images

PHOTO = skimage.data.astronaut()[100:123, 180:217]
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
# First row and column, and steps, of the seven passes of an interlaced PNG.
ADAM_7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1))  # fmt: skip


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_png(samples, color_type, bits=8, interlaced=False, chunks=(), tail=()):
    """Writes samples [height, width, channel]; `chunks` come before the pixels, `tail` after."""
    height, width = samples.shape[:2]
    passes = ADAM_7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for top, left, down, right in passes:
        for row in samples[top::down, left::right]:
            if not len(row):
                continue
            places = np.arange(bits)[::-1]
            packed = np.packbits((row.reshape(-1, 1).astype(int) >> places & 1).astype(np.uint8))
            rows += b"\0" + packed.tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*one)
        for one in [
            (b"IHDR", header),
            *chunks,
            (b"IDAT", zlib.compress(rows)),
            *tail,
            (b"IEND", b""),
        ]
    )


def write_bmp(rows, bits, palette=b"", masks=b""):
    """Writes rows of samples that are packed already, the last one first."""
    data = b"".join(row + bytes(-len(row) % 4) for row in rows[::-1])
    colors = masks + palette
    start = 54 + len(colors)
    height, width = PHOTO.shape[:2]
    return (
        struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 3 if masks else 0, len(data),
                      0, 0, len(palette) // 4, 0)
        + colors + data
    )  # fmt: skip


def decode(data):
    return images.decode(data, max_pixels=10**6)


def over_white(colors, alpha):
    return colors * alpha / 255 + 255 - alpha


@pytest.mark.parametrize("interlaced", [False, True])
def test_png_of_every_kind(interlaced):
    rng = np.random.default_rng(0)
    for color_type, bits in (
        *itertools.product((GREY,), (1, 2, 4, 8, 16)),
        *itertools.product((PALETTE,), (1, 2, 4, 8)),
        *itertools.product((RGB, GREY_ALPHA, RGBA), (8, 16)),
    ):
        channels = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}[color_type]
        samples = rng.integers(0, 2**bits, (23, 37, channels))
        levels = samples >> 8 if bits == 16 else samples * 255 // (2**bits - 1)
        colors = np.broadcast_to(levels[..., :3] if channels > 2 else levels[..., :1], (23, 37, 3))
        chunks, alpha = [], np.full((23, 37, 1), 255)
        if color_type in (GREY_ALPHA, RGBA):
            alpha = levels[..., -1:]
        if color_type == PALETTE:
            table = rng.integers(0, 256, (2**bits, 4)).astype(np.uint8)
            chunks = [(b"PLTE", table[:, :3].tobytes()), (b"tRNS", table[:, 3].tobytes())]
            colors, alpha = table[samples[..., 0], :3], table[samples[..., 0], 3:].astype(int)
        pixels = decode(write_png(samples, color_type, bits, interlaced, chunks))
        assert np.abs(pixels - over_white(colors, alpha)).max() <= 1, (color_type, bits)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_colour_of_a_png(bits):
    rng = np.random.default_rng(0)
    for color_type, channels in ((GREY, 1), (RGB, 3)):
        if bits < 8 and color_type == RGB:
            continue
        samples = rng.integers(0, 2**bits, (23, 37, channels))
        key = samples[3, 4]
        levels = samples >> 8 if bits == 16 else samples * 255 // (2**bits - 1)
        is_key = (samples == key).all(axis=2, keepdims=True)
        data = write_png(
            samples, color_type, bits, chunks=[(b"tRNS", struct.pack(f">{channels}H", *key))]
        )
        if color_type == RGB and bits == 16:
            with pytest.raises(images.ImageError, match="transparent colour"):
                decode(data)
            continue
        expected = np.where(is_key, 255, np.broadcast_to(levels, (23, 37, 3)))
        np.testing.assert_array_equal(decode(data), expected)


def test_bmp_of_every_depth():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (256, 4)).astype(np.uint8)  # Blue, green, red, nothing.
    for bits in (1, 4, 8):
        numbers = rng.integers(0, 2**bits, (23, 37))
        places = np.arange(bits)[::-1]
        rows = [
            np.packbits((row[:, None] >> places & 1).astype(np.uint8)).tobytes() for row in numbers
        ]
        data = write_bmp(rows, bits, palette=table[: 2**bits].tobytes())
        np.testing.assert_array_equal(decode(data), table[numbers, 2::-1])
    rows = [row[:, ::-1].tobytes() for row in PHOTO]
    np.testing.assert_array_equal(decode(write_bmp(rows, 24)), PHOTO)
    rows = [np.pad(row[:, ::-1], ((0, 0), (0, 1))).tobytes() for row in PHOTO]
    np.testing.assert_array_equal(decode(write_bmp(rows, 32)), PHOTO)
    parts = PHOTO.astype(int) >> (3, 2, 3)
    for masks, shifts, levels in (
        (b"", (10, 5, 0), (31, 31, 31)),
        (struct.pack("<3I", 0xF800, 0x7E0, 0x1F), (11, 5, 0), (31, 63, 31)),
    ):
        values = parts if levels[1] == 63 else PHOTO.astype(int) >> 3
        rows = [(row << shifts).sum(axis=1).astype("<u2").tobytes() for row in values]
        expected = values * 255 / np.array(levels)
        assert np.abs(decode(write_bmp(rows, 16, masks=masks)) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_a_moving_picture_the_first_frame_is_read(kind):
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    data = io.BytesIO()
    frames[0].save(data, kind, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(decode(data.getvalue()), PHOTO)


@pytest.mark.parametrize("place", ["chunks", "tail"])
def test_a_png_with_much_text_is_read(place, tmp_path):
    words = b"a photograph of an astronaut, " * 100_000
    texts = [
        (b"tEXt", b"parameters\0" + words),
        (b"zTXt", b"workflow\0\0" + zlib.compress(words)),
        (b"iTXt", b"prompt\0\0\0\0\0" + words),
    ] + [(b"tEXt", b"more\0" + words[:1_000_000])] * 70
    path = tmp_path / "photo.png"
    exif = [(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")]
    options = {"chunks": exif, place: texts + (exif if place == "chunks" else [])}
    path.write_bytes(write_png(PHOTO, RGB, **options))
    np.testing.assert_array_equal(images.load(path), np.rot90(PHOTO, -1))
    assert images.read_header(path)[:2] == (37, 23)


def test_a_png_with_a_large_profile_is_read():
    noise = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
    body = b"large\0\0" + zlib.compress(noise)
    warnings = []
    pixels = images.decode(
        write_png(PHOTO, RGB, chunks=[(b"iCCP", body)]), max_pixels=10**6, warn=warnings.append
    )
    np.testing.assert_array_equal(pixels, PHOTO)
    assert len(warnings) == 1 and "profile is damaged" in warnings[0]


def test_a_jpeg_with_much_before_its_pixels_is_read():
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, "JPEG", quality=95)
    plain = data.getvalue()
    exif = Image.Exif()
    exif[0x0112] = 6
    head = io.BytesIO()
    Image.fromarray(PHOTO).save(
        head, "JPEG", quality=95, exif=exif, comment=b"x" * 60_000, icc_profile=bytes(3_000_000)
    )
    np.testing.assert_array_equal(decode(head.getvalue()), np.rot90(decode(plain), -1))
