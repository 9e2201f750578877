"""What `--images` stands for."""

from collections import Counter
from pathlib import Path

import ml_collections

from input_pipeline.batches.listing import Input, Listing, inputs_of, is_of_tiles, read_inputs
from input_pipeline.files.file_names import name_text
from input_pipeline.files.image_files import list_images
from input_pipeline.files.prepared import is_prepared
from input_pipeline.tables.table_files import read_columns
from input_pipeline.tiles.features import COMPUTED
from iqa_jax.run import build

TABLES = (".csv", ".parquet")


def listing_from_config(
    config: ml_collections.ConfigDict, images: str, folder: Path | None = None
) -> Listing:
    """Finds what `--images` stands for.

    Args:
        config: of the run.
        images: as in `predict`.
        folder: as in `Listing`.

    Raises:
        ManifestError, ImageError: there is nothing, or the table is wrong.
    """
    path, passed_over = Path(images), Counter()
    if is_prepared(path):
        inputs = inputs_of(build.manifest_from_config(config, images, labelled=False))
    elif path.suffix.lower() not in TABLES:
        inputs = (Input(name_text(name), name) for name in list_images(images, passed_over))
    elif is_of_tiles(read_columns(path)):
        inputs = inputs_of(build.manifest_from_config(config, images, labelled=False))
    else:
        inputs = read_inputs(path, [name for name in config.data.features if name not in COMPUTED])
    return Listing(inputs, folder, passed_over)
