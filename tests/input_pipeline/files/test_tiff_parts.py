"""Planes of a TIFF are taken apart, and missed where they are not there."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from input_pipeline.files import images
from input_pipeline.files.tiff_parts import is_by_plane, split_planes
from tiff_writer import SEPARATE, write_tiff

HEIGHT, WIDTH = 23, 37


def test_planes_that_are_missing_are_an_error(tmp_path):
    path, samples = tmp_path / "photo.tif", np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for channels, size in ((2, None), (3, 10**6)):
        # Two planes that are said to be three; a third that ends beyond the file.
        data = write_tiff(samples[..., :channels], 2, planar=SEPARATE, more={277: ("H", 3)})
        if size:
            data = data.replace(*(struct.pack("<3I", *[HEIGHT * WIDTH] * 2, last)
                                  for last in (HEIGHT * WIDTH, size)))  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(images.ImageError, match="damaged"):
            images.load(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", [{}, {"rows_per_strip": 5}, {"tile": (16, 32)}])
def test_each_plane_is_a_grey_tiff_of_its_own(order, layout):
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    data = write_tiff(samples, 2, planar=SEPARATE, order=order, **layout)
    with Image.open(io.BytesIO(data)) as image:
        assert is_by_plane(image)
        planes = split_planes(data, image)
    assert len(planes) == 3
    for channel, plane in enumerate(planes):
        with Image.open(io.BytesIO(plane)) as image:
            assert image.mode == "L" and not is_by_plane(image)
            np.testing.assert_array_equal(image, samples[..., channel])
