"""Texts are taken out of a PNG and nothing else; what its chunks say of colours is heard."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from input_pipeline.files.color_profiles import BadProfile
from input_pipeline.files.png_chunks import png_profile, read_head, without_texts
from made_files import P3, PHOTO


def chunks_of(data):
    """Lists the chunks of a PNG, and sees that each ends as the format says."""
    found, place = [], 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        found.append(kind)
        place += length + 12
    return found


def write_png(image=PHOTO[:20, :30], **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def with_texts():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", "a cat")
    texts.add_text("packed", "a dog " * 99, zip=True)
    texts.add_itxt("more", "ein Hund")
    return write_png(pnginfo=texts, icc_profile=P3)


def test_texts_and_the_profile_go_and_the_pixels_stay(with_texts):
    kinds = chunks_of(with_texts)
    assert {b"tEXt", b"zTXt", b"iTXt", b"iCCP"} < set(kinds)
    bare = without_texts(with_texts)
    assert chunks_of(bare) == [b"IHDR", *[kind for kind in kinds if kind == b"IDAT"], b"IEND"]
    np.testing.assert_array_equal(Image.open(io.BytesIO(bare)), PHOTO[:20, :30])
    assert without_texts(bare) is bare


def test_the_head_ends_where_pixels_begin(with_texts):
    file = io.BytesIO(with_texts)
    head = read_head(file)
    assert with_texts.startswith(head) and head.endswith(b"IDAT") and file.tell() == len(head)
    assert png_profile(head) == png_profile(with_texts) == P3


def with_chunk(kind, body):
    png = write_png()
    check = struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + struct.pack(">I", len(body)) + kind + body + check + png[33:]


def test_a_png_that_says_nothing_or_srgb_has_no_profile():
    assert png_profile(write_png()) is None
    assert png_profile(with_chunk(b"sRGB", b"\0")) is None


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (b"iCCP", b"name\0\0no zlib", "description of its colours is damaged"),
        (b"gAMA", b"\0", "description of its colours is damaged"),
        (b"cICP", bytes([9, 16, 0, 1]), r"cICP 9, 16, 0, 1"),
        (b"cICP", bytes([1, 13, 0, 0]), r"cICP 1, 13, 0, 0"),
    ],
)
def test_colours_that_cannot_be_converted_are_said(kind, body, sentence):
    with pytest.raises(BadProfile, match=sentence):
        png_profile(with_chunk(kind, body))
