"""A TIFF of any kind is read rightly, whole and by bands, or refused; never as something else."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from input_pipeline.files import images
from input_pipeline.files.windows import open_bands
from tiff_writer import CONTIGUOUS, SEPARATE, write_tiff

HEIGHT, WIDTH = 23, 37
ALPHA, PREMULTIPLIED, UNKNOWN = 2, 1, 0
# Name -> photometric interpretation, channels, what the last channel is.
KINDS = {
    "white is zero": (0, 1, ()),
    "grey": (1, 1, ()),
    "grey and alpha": (1, 2, (ALPHA,)),
    "premultiplied grey": (1, 2, (PREMULTIPLIED,)),
    "grey and more": (1, 2, (UNKNOWN,)),
    "RGB": (2, 3, ()),
    "RGBA": (2, 4, (ALPHA,)),
    "premultiplied RGB": (2, 4, (PREMULTIPLIED,)),
    "RGB and more": (2, 4, (UNKNOWN,)),
    "CMYK": (5, 4, ()),
}
# Name -> type that holds a sample, bits, sample format.
SAMPLES = {
    "1 bit": (np.uint8, 1, 1),
    "4 bits": (np.uint8, 4, 1),
    "8 bits": (np.uint8, 8, 1),
    "12 bits": (np.uint16, 12, 1),
    "16 bits": (np.uint16, 16, 1),
    "32 bits": (np.uint32, 32, 1),
    "signed 8 bits": (np.int8, 8, 2),
    "signed 16 bits": (np.int16, 16, 2),
    "floating point": (np.float32, 32, 3),
}
READ_8_16 = {(kind, f"{bits} bits") for kind in KINDS for bits in (8, 16)}
# What has to be read in some layout at least.
READ = (
    READ_8_16
    - {(kind, "16 bits") for kind in ("white is zero", "grey and alpha", "premultiplied grey")}
    | {(kind, f"{bits}") for kind in ("white is zero", "grey") for bits in ("1 bit", "4 bits")}
    | {("grey", "12 bits")}
)
# Compression, size of tiles, rows per strip, byte order.
LAYOUTS = [
    ("none", None, 0, "<"), ("none", None, 9, ">"), ("none", (16, 32), 0, "<"),
    ("deflate", None, 0, ">"), ("deflate", None, 9, "<"), ("deflate", (16, 32), 0, ">"),
    ("lzw", None, 0, "<"), ("lzw", None, 9, ">"), ("lzw", (16, 32), 0, "<"),
    ("packbits", None, 0, ">"), ("packbits", None, 9, "<"), ("packbits", (16, 32), 0, ">"),
]  # fmt: skip


def shown(samples, kind, bits):
    """Works the pixels out, as floating point, by the letter of the documented rules."""
    photometric, _, extra = KINDS[kind]
    levels = samples.astype(float)
    levels = levels * 255 / (2**bits - 1) if bits < 8 else levels // 2 ** (bits - 8)
    alpha = levels[..., -1:]
    if photometric == 5:
        colors = (255 - levels[..., :3]) * (255 - levels[..., 3:4]) / 255
    elif photometric == 2:
        colors = levels[..., :3]
    else:
        grey = levels[..., :1] if photometric else 255 - levels[..., :1]
        colors = np.repeat(grey, 3, axis=2)
    if extra == (ALPHA,):
        return colors * alpha / 255 + 255 - alpha
    return colors + 255 - alpha if extra == (PREMULTIPLIED,) else colors


def read(path):
    """Gives the pixels read whole, which those read by bands must be; None if refused."""
    try:
        whole = images.load(path)
    except images.ImageError as error:
        assert "damaged or cut short" not in str(error)
        return None
    bands = open_bands(path, 0)
    if bands is not None:
        assert (bands.height, bands.width) == whole.shape[:2] == images.read_header(path)[:2]
        for top, bottom in ((0, 5), (4, 21), (17, HEIGHT)):
            np.testing.assert_array_equal(bands.read(top, bottom), whole[top:bottom])
    return whole


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_kind_is_read_rightly_or_refused(kind, sample, tmp_path):
    path = tmp_path / "photo.tif"
    photometric, channels, extra = KINDS[kind]
    dtype, bits, sample_format = SAMPLES[sample]
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 2 ** min(bits, 30 - 23 * (sample_format != 1)),
                           (HEIGHT, WIDTH, channels)).astype(dtype)  # fmt: skip
    if extra == (PREMULTIPLIED,):
        samples[..., :-1] = np.minimum(samples[..., :-1], samples[..., -1:])
    expected = shown(samples, kind, bits)
    was_read = set()
    for planar, (compression, tile, rows, order) in itertools.product(
        (CONTIGUOUS, SEPARATE), LAYOUTS
    ):
        how = {"planar": planar, "compression": compression, "tile": tile, "order": order}
        how |= {"bits": bits, "sample_format": sample_format, "extra": extra}
        path.write_bytes(write_tiff(samples, photometric, rows_per_strip=rows, **how))
        pixels = read(path)
        was_read.add(pixels is not None)
        if pixels is not None:
            # One level is what rounding may do where colours are mixed with white.
            error = np.abs(pixels - expected).max()
            assert error <= (1 if extra or photometric == 5 else 0), (planar, compression, order)
    assert (True in was_read) == ((kind, sample) in READ)
    # Pillow opens these in one byte order, or with some compressions, and not in others.
    assert len(was_read) == 1 or sample == "12 bits" or extra == (UNKNOWN,)


@pytest.mark.parametrize("planar", [CONTIGUOUS, SEPARATE])
@pytest.mark.parametrize("kind", ["grey", "RGB"])
def test_strips_and_tiles_of_jpeg_are_those_of_jpeg_files(kind, planar, tmp_path):
    path, (photometric, channels, _) = tmp_path / "photo.tif", KINDS[kind]
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)
    for layout in ({}, {"rows_per_strip": 16}, {"tile": (32, 48)}):
        data = write_tiff(samples, photometric, planar=planar, compression="jpeg", **layout)
        path.write_bytes(data)
        assert np.abs(read(path).astype(int) - samples).mean() < 6


def test_palettes_are_looked_up_in_any_layout(tmp_path):
    path, rng = tmp_path / "photo.tif", np.random.default_rng(0)
    for bits, planar in itertools.product((1, 4, 8), (CONTIGUOUS, SEPARATE)):
        palette = rng.integers(0, 256, (3, 2**bits))
        samples = rng.integers(0, 2**bits, (HEIGHT, WIDTH, 1)).astype(np.uint8)
        more = {320: ("H", (palette * 257).ravel())}
        path.write_bytes(write_tiff(samples, 3, bits=bits, planar=planar, more=more))
        np.testing.assert_array_equal(read(path), palette.T[samples[..., 0]])


def test_luma_and_chroma_are_read_or_refused(tmp_path):
    path = tmp_path / "photo.tif"
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    photo = np.stack(np.broadcast_arrays(ramp, ramp[:HEIGHT, None], 255 - ramp), axis=2)
    luma = np.asarray(Image.fromarray(photo).convert("YCbCr"))
    for planar, compression in itertools.product((CONTIGUOUS, SEPARATE), ("none", "lzw")):
        for chroma, is_read in (((1, 1), planar == CONTIGUOUS), ((2, 2), False)):
            if chroma == (2, 2) and compression != "none":
                continue
            more = {530: ("H", chroma)}
            path.write_bytes(write_tiff(luma, 6, planar=planar, compression=compression, more=more))
            pixels = read(path)
            assert (pixels is not None) == is_read
            assert not is_read or np.abs(pixels.astype(int) - photo).max() <= 3


@pytest.mark.parametrize("planar", [CONTIGUOUS, SEPARATE])
def test_a_turned_tiff_is_turned_whatever_its_planes(planar, tmp_path):
    path, rng = tmp_path / "photo.tif", np.random.default_rng(0)
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    path.write_bytes(write_tiff(samples, 2, planar=planar, more={274: ("H", 6)}))
    pixels = images.load(path)
    np.testing.assert_array_equal(pixels, np.rot90(samples, -1))
    assert images.read_header(path)[:2] == pixels.shape[:2] and open_bands(path, 0) is None


def test_of_several_pages_the_first_is_read(tmp_path):
    path, rng = tmp_path / "photo.tif", np.random.default_rng(0)
    pages = [rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8) for _ in range(2)]
    first, second = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=[second])
    np.testing.assert_array_equal(read(path), pages[0])


def test_pillow_is_not_believed_where_it_misreads_planes():
    samples = np.random.default_rng(0).integers(0, 2**16, (9, 7, 3), np.uint16)
    image = Image.open(io.BytesIO(write_tiff(samples, 2, planar=SEPARATE)))
    with pytest.raises(images.ImageError, match="separate planes; give the path"):
        images.from_pillow(image, max_pixels=10**6)
