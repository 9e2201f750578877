"""What is read band by band is what is decoded whole, bit for bit, however the file is stored."""

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image

from input_pipeline.files import windows
from input_pipeline.files.images import ImageError, load
from input_pipeline.files.reduction import Reduction
from input_pipeline.files.windows import open_bands
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling

PHOTO = skimage.data.chelsea()[:203, :301]
GREY_16 = PHOTO[..., 0].astype(np.uint16) * 200


def write(path, how, array=PHOTO, mode="RGB", **options):
    if how == "pillow":
        Image.fromarray(array).convert(mode).save(path, "TIFF", **options)
    else:
        tifffile.imwrite(path, array, **options)
    return path


RGB = {"how": "tifffile", "photometric": "rgb"}
GREY = {"how": "tifffile", "array": GREY_16, "photometric": "minisblack", "rowsperstrip": 9}
FORMATS = {
    "one strip": RGB,
    "a strip per row": RGB | {"rowsperstrip": 1},
    "strips, deflate, predictor": RGB
    | {"rowsperstrip": 10, "compression": "zlib", "predictor": True},
    "tiles": RGB | {"tile": (32, 48)},
    "tiles, deflate": RGB | {"tile": (32, 48), "compression": "zlib"},
    "big-endian tiles": RGB | {"tile": (32, 48), "byteorder": ">"},
    "BigTIFF": RGB | {"rowsperstrip": 9, "bigtiff": True},
    "16 bit": GREY,
    "16 bit, big-endian": GREY | {"byteorder": ">"},
    "planes": RGB | {"array": np.moveaxis(PHOTO, 2, 0), "planarconfig": "separate"},
    "planes in strips, deflate": RGB
    | {
        "array": np.moveaxis(PHOTO, 2, 0),
        "planarconfig": "separate",
        "rowsperstrip": 9,
        "compression": "zlib",
    },
    "LZW": {"how": "pillow", "compression": "tiff_lzw", "tiffinfo": {278: 16}},
    "JPEG": {"how": "pillow", "compression": "jpeg", "tiffinfo": {278: 16}},
    "grey": {"how": "pillow", "mode": "L", "compression": "packbits", "tiffinfo": {278: 16}},
    "black and white": {"how": "pillow", "mode": "1", "compression": "group4"},
    "palette": {"how": "pillow", "mode": "P", "tiffinfo": {278: 7}},
    "transparent": {"how": "pillow", "mode": "RGBA", "tiffinfo": {278: 7}},
    "CMYK": {"how": "pillow", "mode": "CMYK", "tiffinfo": {278: 7}},
}


@pytest.mark.parametrize("name", FORMATS)
def test_bands_are_the_rows_of_the_whole(name, tmp_path):
    path = write(tmp_path / "photo.tif", **FORMATS[name])
    whole, bands = load(path), open_bands(path, 0)
    assert (bands.height, bands.width) == whole.shape[:2] and whole.std() > 20
    for top, bottom in ((0, 32), (5, 6), (31, 97), (150, 203), (0, 203)):
        np.testing.assert_array_equal(bands.read(top, bottom), whole[top:bottom])


@pytest.mark.parametrize("size", [32, 80, 300])
@pytest.mark.parametrize("edge", ["shift", "pad", "drop"])
@pytest.mark.parametrize("shrink", [1, 4])
def test_tiles_are_those_of_the_whole(size, edge, shrink, tmp_path):
    path = write(tmp_path / "photo.tif", **FORMATS["tiles, deflate"])
    tiling = Tiling(size, size - 5, edge, shrink)
    whole = TileSource([path], tiling, max_pixels=10**6)
    # The limit on what is decoded at once does not bind what is never decoded at once.
    banded = TileSource([path], tiling, max_pixels=1000, whole_pixels=1000)
    layout = banded.layout(0)
    assert layout.grid.shape == whole.layout(0).grid.shape
    assert whole.pieces(0, layout) == [None]
    pieces = banded.pieces(0, layout)
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(len(layout.grid.origins)))
    assert len(pieces) == layout.grid.shape[0]
    tiles = np.concatenate([banded.tiles(0, layout, piece) for piece in pieces])
    np.testing.assert_array_equal(tiles, whole.tiles(0, layout))
    masks = np.concatenate([banded.pixel_masks(layout, piece) for piece in pieces])
    np.testing.assert_array_equal(masks, whole.pixel_masks(layout))


@pytest.mark.parametrize("name", ["tiles, deflate", "one strip", "strips, deflate, predictor"])
@pytest.mark.parametrize("side", [40, 150, 202, 203])
@pytest.mark.parametrize("slice_bytes", [1, 20_000, 64 << 20])
def test_bands_down_to_a_reference_side_are_near_the_whole(
    name, side, slice_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(windows, "_SLICE_BYTES", slice_bytes)
    path = write(tmp_path / "photo.tif", **FORMATS[name])
    tiling = Tiling(32, 27, reference_side=side)
    whole = TileSource([path], tiling, max_pixels=10**6)
    banded = TileSource([path], tiling, max_pixels=1000, whole_pixels=1000)
    layout, plain = banded.layout(0), whole.layout(0)
    assert (layout.height, layout.width) == (plain.height, plain.width) and layout.height == side
    np.testing.assert_array_equal(layout.grid.origins, plain.grid.origins)
    pieces = banded.pieces(0, layout)
    assert len(pieces) == layout.grid.shape[0] > 1
    tiles = np.concatenate([banded.tiles(0, layout, piece) for piece in pieces])
    difference = np.abs(tiles.astype(int) - whole.tiles(0, plain))
    # Rounded twice; not at all where nothing is made smaller.
    assert difference.max() <= (side < 203) and difference.mean() < 0.3


def test_each_part_is_decoded_once_for_a_smaller_image(tmp_path, monkeypatch):
    path = write(tmp_path / "photo.tif", **FORMATS["strips, deflate, predictor"])
    bands, read = open_bands(path, 0), []
    monkeypatch.setattr(windows, "_SLICE_BYTES", 3 * 301 * 25)
    plain = bands._read_part
    monkeypatch.setattr(bands, "_read_part", lambda *part: read.append(part[1:]) or plain(*part))
    assert bands.read_reduced(Reduction(reference_side=50), 0, 50).shape == (50, 74, 3)
    assert len(read) == len(set(read)) == 21  # Strips of 10 rows.


def test_what_cannot_be_cut_is_left_to_the_decoder_of_all(tmp_path):
    turned = write(tmp_path / "turned.tif", "pillow", tiffinfo={274: 6})
    assert open_bands(turned, 0) is None
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    assert open_bands(tmp_path / "photo.png", 0) is None
    small = write(tmp_path / "small.tif", **RGB)
    assert open_bands(small, 203 * 301) is None and open_bands(small, 203 * 301 - 1)
    assert open_bands(tmp_path / "nowhere.tif", 0) is None
    source = TileSource([turned], Tiling(32, 32), max_pixels=1000, whole_pixels=1000)
    with pytest.raises(ImageError, match="203x301 pixels are more than the limit of 1000"):
        source.layout(0)


@pytest.mark.parametrize("name", ["a strip per row", "tiles, deflate"])
def test_a_file_cut_short_is_an_error(name, tmp_path):
    path = write(tmp_path / "photo.tif", **FORMATS[name])
    whole = load(path)
    bands = open_bands(path, 0)
    path.write_bytes(path.read_bytes()[:-1000])
    np.testing.assert_array_equal(bands.read(0, 10), whole[:10])
    with pytest.raises(ImageError, match="photo.tif.*damaged or cut short"):
        bands.read(150, 203)
    path.unlink()
    with pytest.raises(ImageError, match="photo.tif.*cannot be read"):
        bands.read(0, 10)
