"""Masks of where an image is bad, for manifests that have them in a column `region`."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from input_pipeline.files.images import UNREDUCED, ImageError, load
from input_pipeline.files.reduction import Reduction
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import read_table

COLUMN = "region"


def find_regions(manifest: Manifest) -> dict[int, Path]:
    """Finds the masks of a manifest's images.

    Args:
        manifest: whose file may have a column `region`: the path of a mask, relative to the
            manifest, or nothing. Images given as tiles have none, nor have those that are compared.

    Returns:
        image_id -> path, for the images that have one.
    """
    if manifest.tiles is not None or manifest.pairs is not None:
        return {}
    table = read_table(manifest.path)
    if COLUMN not in table.columns:
        return {}
    names = table[COLUMN].loc[manifest.images["file_row"]]
    return {
        int(image_id): manifest.path.parent / name
        for image_id, name in zip(manifest.images.index, names, strict=True)
        if name
    }


def load_region(
    path: Path,
    height: int,
    width: int,
    *,
    max_pixels: int,
    reduction: Reduction = UNREDUCED,
) -> Bool[np.ndarray, "height width"]:
    """Reads a mask: white where the image is bad, black elsewhere.

    Args:
        path: of the mask.
        height, width: of its image, made smaller.
        max_pixels: a larger file is refused.
        reduction: how its image was made smaller, and the mask is.

    Raises:
        ImageError: it cannot be read or has another size than its image.
    """
    mask = load(path, max_pixels=max_pixels, reduction=reduction)[..., 0] > 127
    if mask.shape != (height, width):
        raise ImageError(
            f"{path}: the mask has {mask.shape[0]}×{mask.shape[1]} pixels, its image "
            f"{height}×{width}; give a mask of the image's size."
        )
    return mask
