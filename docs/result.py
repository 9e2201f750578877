"""Makes the picture of the README: a photograph, its right half blurred, and where that costs.

python -m docs.result --output=docs/result.jpg
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

# Of the picture that `explain` draws, what shows attention, which is the same for all tiles here.
_ATTENTION = (735, 1101)


def make_photograph(is_blurred: bool) -> np.ndarray:
    """Gives scikit-image's coffee as RGB; blurred: from the left half on, more and more."""
    sharp = skimage.data.coffee()
    if not is_blurred:
        return sharp
    width = sharp.shape[1]
    share = np.clip((np.arange(width) - 0.45 * width) / (0.12 * width), 0, 1)[:, None]
    return (sharp * (1 - share) + cv2.GaussianBlur(sharp, (0, 0), 5.0) * share).astype(np.uint8)


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    from iqa_jax.modes.explain import explain
    from iqa_jax.run.packed import open_run

    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder) / "coffee.png"
        Image.fromarray(make_photograph(is_blurred=True)).save(photograph)
        explain(open_run(""), str(photograph), f"{folder}/maps")
        (drawn,) = Path(folder, "maps").glob("*.png")
        whole = np.asarray(Image.open(drawn).convert("RGB"))
    start, stop = _ATTENTION
    Image.fromarray(np.delete(whole, np.s_[start:stop], axis=1)).save(output, quality=85)


if __name__ == "__main__":
    main()
