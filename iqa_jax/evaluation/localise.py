"""How well the maps of a run find what is bad, on images whose bad region is known."""

from typing import Any

import numpy as np

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.files.images import ImageError
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.regions import find_regions, load_region
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from iqa_jax.analysis.localisation import summarise_localisation
from iqa_jax.analysis.maps import read_places
from iqa_jax.host.progress import meter, say
from iqa_jax.scoring.explainer import Explainer


def localise(
    explainer: Explainer,
    variables: Any,
    manifest: Manifest,
    source: TileSource,
    features: FeatureTable,
    split: str,
    *,
    max_pixels: int,
    threads: int,
) -> dict[str, Any] | None:
    """Judges Grad-CAM, attention and tile scores on the images of a split that have a mask.

    Args:
        explainer, variables, features: of the run.
        manifest, source: of the images; masks are named in its column `region`.
        split: whose images.
        max_pixels: a larger mask is refused.
        threads: that decode and cut.

    Returns:
        As `summarise_localisation`; None where no image has a mask. An image or a mask that cannot
        be read is left out.
    """
    paths = find_regions(manifest)
    image_ids = [image_id for image_id in manifest.split(split).index if image_id in paths]
    if not image_ids:
        return None
    bags = whole_bags(source, image_ids, features, manifest.images, threads=threads)
    maps, regions = [], []
    with meter(f"localising {split}", len(image_ids)) as progress:
        for done, explained in enumerate(explainer.explain(variables, bags), start=1):
            progress.update(done)
            answer = explained.answer
            if explained.maps is None or answer.layout is None:
                continue
            try:
                region = load_region(
                    paths[answer.image_id],
                    answer.layout.height,
                    answer.layout.width,
                    max_pixels=max_pixels,
                    reduction=source.tiling.reduction,
                )
            except ImageError as error:
                say(f"WARNING: {error}")
                continue
            maps.append(explained.maps.relevance())
            regions.append(_at_step(region, explained.maps.step))
    return summarise_localisation(maps, regions)


def _at_step(region: np.ndarray, step: int) -> np.ndarray:
    """Reads a mask where a map is read."""
    rows, columns = (read_places(side, step).astype(int) for side in region.shape)
    return region[rows[:, None], columns]
