"""Embeds images once with a frozen encoder and keeps the result on disk."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jaxtyping import Float32

from input_pipeline.batches.embeddings import EmbeddingCache
from input_pipeline.batches.whole_bags import Bag, moved_bag, whole_bags
from input_pipeline.files.images import DECODING, ImageError
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from iqa_jax.host.progress import meter, say
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.run.build import model_from_config
from iqa_jax.run.variables import hash_tree
from iqa_jax.scoring.scorer import Scorer, scorer_from_config


class CachedEmbeddings:
    """The embeddings of a manifest's images: copy 0 of the grid, further ones of moved tiles.

    Args:
        cache: where they are.
        content: image_id -> hash of the picture's content.
        errors: image_id -> why it has no embeddings.
    """

    def __init__(
        self, cache: EmbeddingCache, content: Mapping[int, str], errors: Mapping[int, str]
    ):
        self._cache, self._content, self._errors = cache, content, errors

    def __call__(self, image_id: int) -> Float32[np.ndarray, "copy tile dim"]:
        if image_id in self._errors:
            raise ImageError(self._errors[image_id])
        embeddings = self._cache.read(self._content[image_id])
        if embeddings is None:
            raise OSError(
                f"the embeddings in {self._cache.folder} have gone while they were in use; start "
                "the same command again."
            )
        return embeddings

    def warning(self, image_id: int) -> str:
        """Says what was wrong with a picture that was embedded all the same."""
        return self._cache.warning(self._content.get(image_id, ""))


def embeddings_from_config(
    config: ml_collections.ConfigDict, variables: Mapping[str, Any], source: TileSource
) -> CachedEmbeddings:
    """Embeds the images of a run where its config says.

    Args:
        config: of the run.
        variables: of its network; only the encoder's count.
        source: of the tiles.

    Raises:
        OSError: the disk has no room for them.
    """
    tiling, copies = source.tiling, config.bags.copies
    cut = [tiling.size, tiling.stride, tiling.edge, tiling.shrink]
    if tiling.reference_side:  # Only then, so that embeddings from before it are found.
        cut.append(tiling.reference_side)
    cache = EmbeddingCache(
        Path(os.path.expanduser(config.bags.cache_folder)),
        {
            "encoder": hash_tree(
                {kind: variables[kind]["encoder"] for kind in ("params", "batch_stats")}
            ),
            "pooling": config.model.pooling,
            "dtype": config.model.dtype,
            "tiling": cut,
            "copies": copies,
            "decoding": DECODING,
        },
    )
    return cache_embeddings(
        cache,
        scorer_from_config(config),
        variables,
        source,
        model=model_from_config(config),
        copies=copies,
        threads=config.host.threads,
    )


def cache_embeddings(
    cache: EmbeddingCache,
    scorer: Scorer,
    variables: Mapping[str, Any],
    source: TileSource,
    *,
    model: QualityModel,
    copies: int,
    threads: int,
) -> CachedEmbeddings:
    """Makes sure that the embeddings of all readable images are on disk.

    Args:
        cache: where they belong, by all that they hang on besides the pictures.
        scorer, model: of the network.
        variables: of the network; only the encoder's count.
        source: of the tiles.
        copies: embeddings per image: the grid's, and of tiles moved and mirrored.
        threads: that decode and cut.

    Raises:
        OSError: the disk has no room for them.
    """
    content, errors = _identify(source)
    lacking = [image_id for image_id, name in content.items() if cache.read(name) is None]
    say(f"{len(content) - len(lacking)} of {len(content)} images are embedded in {cache.folder}")
    first: dict[str, int] = {}  # A picture that stands in several rows is embedded once.
    for image_id in lacking:
        first.setdefault(content[image_id], image_id)
    missing = list(first.values())
    if missing:
        _check_room(model, variables, source, missing, copies, cache.folder)

    def bags() -> Iterator[Bag]:
        for bag in whole_bags(source, missing, FeatureTable(), threads=threads):
            if bag.error:
                errors[bag.image_id] = bag.error
                continue
            yield bag
            for copy in range(1, copies):
                # The random numbers hang on the picture alone, not on its place in a manifest or
                # the run's seed: runs of many seeds share the cache.
                seed = [copy, int(content[bag.image_id][:15], 16)]
                yield moved_bag(source, bag, np.random.default_rng(seed))

    with meter("embedding", len(missing)) as progress:
        parts: list[np.ndarray] = []
        done = 0
        for bag, embeddings in scorer.embed(variables, bags()):
            parts.append(embeddings)
            if len(parts) == copies:
                cache.write(content[bag.image_id], np.stack(parts), bag.warning)
                parts, done = [], done + 1
                progress.update(done)
    for image_id in lacking:
        if (embedded := first[content[image_id]]) in errors:
            errors[image_id] = errors[embedded]
    return CachedEmbeddings(cache, content, errors)


def _identify(source: TileSource) -> tuple[dict[int, str], dict[int, str]]:
    """Hashes what pictures hold, by image_id; of those that cannot be read, says why."""
    content, errors = {}, {}
    for image_id in range(len(source)):
        try:
            content[image_id] = source.content(image_id)
        except ImageError as error:
            errors[image_id] = str(error)
    return content, errors


def _check_room(
    model: QualityModel,
    variables: Mapping[str, Any],
    source: TileSource,
    missing: Sequence[int],
    copies: int,
    folder: Path,
) -> None:
    """Says before hours of work that their result will not fit on the disk."""
    tiles = 0
    for image_id in missing:
        try:
            tiles += len(source.layout(image_id).grid.origins)
        except ImageError:
            # It has no embeddings; embedding it says why.
            continue
    side = source.tiling.size
    tile = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    one = jax.eval_shape(lambda tile: model.apply(variables, tile, method="encode"), tile)
    needed = tiles * copies * one.size * one.dtype.itemsize
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"the embeddings of {len(missing)} images, {tiles} tiles in {copies} "
            f"copies, take {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free. Make "
            "them fewer (config.tiles.shrink, config.tiles.reference_side, config.tiles.stride, "
            "config.bags.copies) or shorter "
            '(config.model.pooling="stages" or "mean"), or name another disk: '
            "config.bags.cache_folder."
        )
