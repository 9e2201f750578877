"""Writes nss.npz: what another implementation of BRISQUE makes of scikit-image's photos.

    pip install --target=PEER --no-deps brisque==0.2.0
    PYTHONPATH=.:PEER python tests/golden/make_nss.py

The peer calls libsvm and requests at import only, for its score; they are stood in for. It pads
the picture with zeros, finds shapes with a root finder, halves without antialiasing, fits an
asymmetric curve to the normalised pixels too, and takes values of 0 for positive ones, where the
paper's own code leaves them out. So its borders are cut off (3 pixels, half the window), the
half-size picture it is given is Pillow's antialiased bicubic, and no photo has flat areas.
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import skimage.data
from PIL import Image

BORDER = 3


def main() -> None:
    """Runs the peer and writes the golden file beside this script."""
    sys.modules |= {name: mock.MagicMock() for name in ("libsvm", "requests")}
    from brisque import BRISQUE

    peer = BRISQUE.__new__(BRISQUE)  # Its constructor loads the support vectors of the score.

    def describe(luma: np.ndarray) -> np.ndarray:
        normalised = peer.calculate_mscn_coefficients(luma / 255, 7, 7 / 6)
        inner = normalised[BORDER:-BORDER, BORDER:-BORDER]
        values = []
        for name, products in peer.calculate_pair_product_coefficients(inner).items():
            shape, mean, left, right = peer.asymmetric_generalized_gaussian_fit(products)
            sides = [left[0] ** 2, right[0] ** 2]
            values += [shape, np.mean(sides)] if name == "mscn" else [shape, mean[0], *sides]
        return np.array(values, np.float64)

    golden = {}
    for name in ("chelsea", "coffee", "rocket"):
        photo = Image.fromarray(getattr(skimage.data, name)()).convert("L")
        # Both halve the same picture only where its sides are even.
        luma = np.asarray(photo, np.float32)[: photo.height // 2 * 2, : photo.width // 2 * 2]
        half = Image.fromarray(luma).resize((luma.shape[1] // 2, luma.shape[0] // 2), Image.BICUBIC)
        golden[name] = np.stack([describe(luma), describe(np.asarray(half))])
    np.savez_compressed(Path(__file__).with_name("nss.npz"), **golden)


if __name__ == "__main__":
    main()
