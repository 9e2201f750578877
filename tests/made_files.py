"""Files that tests of several kinds of files make."""

import io

import skimage.data
from PIL import Image

from input_pipeline.files.color_profiles import SRGB_GAMMA, SRGB_WHITE, make_profile

DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
P3 = make_profile(SRGB_WHITE, DISPLAY_P3, SRGB_GAMMA)

PHOTO = skimage.data.astronaut()


def encode(kind="JPEG", mode="RGB", **options):
    data = io.BytesIO()
    Image.fromarray(PHOTO).convert(mode).save(data, kind, **options)
    return data.getvalue()
