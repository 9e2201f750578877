"""HEIC and AVIF are read where a reader is installed; else a sentence says what to install."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, features

from input_pipeline.files import heif
from input_pipeline.files.images import ImageError, decode, load, read_header
from input_pipeline.files.reduction import Reduction

PHOTO = skimage.data.astronaut()[:96, :128]
START = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
}


def write_heic(photo: np.ndarray, orientation: int = 1) -> bytes:
    package = pytest.importorskip("pillow_heif")
    image, file, exif = package.from_pillow(Image.fromarray(photo)), io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    image.save(file, quality=95)
    return file.getvalue()


def write_avif(photo: np.ndarray, orientation: int = 1) -> bytes:
    if not features.check("avif"):
        pytest.skip("this build of Pillow has no AVIF")
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save(file, "AVIF", quality=95, exif=exif)
    return file.getvalue()


def png(photo: np.ndarray, orientation: int) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("write", [write_heic, write_avif])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_of_a_phone_is_read_upright(tmp_path, write, orientation):
    path = tmp_path / "photo.heic"
    path.write_bytes(write(PHOTO, orientation))
    expected = decode(png(PHOTO, orientation), max_pixels=10**6).astype(int)
    pixels = load(path)
    assert pixels.shape == expected.shape and np.abs(pixels - expected).mean() < 3
    assert read_header(path)[:2] == pixels.shape[:2]
    quarter = Reduction(4)
    assert load(path, reduction=quarter).shape[:2] == quarter.sides(*pixels.shape[:2])


@pytest.mark.parametrize("write", [write_heic, write_avif])
def test_what_cannot_be_read_is_a_sentence(write):
    data = write(PHOTO)
    with pytest.raises(ImageError, match="128x96 pixels are more than the limit"):
        decode(data, max_pixels=1000)
    with pytest.raises(ImageError, match="damaged"):
        decode(data[: len(data) // 2], max_pixels=10**6)
    clear = np.dstack([PHOTO, np.zeros(PHOTO.shape[:2], np.uint8)])
    assert (decode(write(clear), max_pixels=10**6) == 255).all()


@pytest.mark.parametrize(
    ("kind", "advice"), [("HEIC", r"iqa_jax\[heif\]"), ("AVIF", 'install --upgrade "pillow')]
)
def test_without_a_reader_the_row_says_what_to_install(monkeypatch, kind, advice):
    monkeypatch.setitem(heif._READERS, kind, None)
    with pytest.raises(ImageError, match=f"a.heic: {kind} cannot be read here yet: .*{advice}"):
        decode(START[kind] + bytes(40), max_pixels=10**6, name="a.heic")


def test_other_files_of_the_same_container_are_no_pictures():
    for start in (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", b"\0\0\0\x18ftyp", b"ftypheic"):
        with pytest.raises(ImageError, match="not an image that can be read"):
            decode(start, max_pixels=10**6)
