"""What a run trains on: audited, indexed, and as a stream of batches."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.batches.bags import bag_maker, tile_reader, training_batches
from input_pipeline.batches.embeddings import embedding_batches
from input_pipeline.batches.pairs import pair_batches
from input_pipeline.batches.rankings import GROUP_SIZE, ranked_batches
from input_pipeline.batches.worker_batches import Batches
from input_pipeline.checks.audit import Audit, audit, format_audit
from input_pipeline.checks.leaks import find_leaks, format_leaks, identify_images
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.features import MEASURED, FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tile_index import (
    NO_LIMIT,
    TileIndex,
    fit_index_features,
    index_tiles,
    rows_by_image,
    without_tiles,
)
from iqa_jax.analysis.kinds import Kind
from iqa_jax.host.progress import meter, say
from iqa_jax.run import build
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.seen import FITTED_SPLITS, Seen, runs_before, seen_before
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.embedding_cache import CachedEmbeddings, embeddings_from_config
from iqa_jax.training.targets import targets_from_config
from iqa_jax.training.training_error import TrainingError


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """How training images become batches.

    Attributes:
        kind: what their labels mean, which says what an example is.
        batch_size: examples in a batch, over all processes.
        tiles_per_bag: 1: every tile is an example; more: every image, with so many of its tiles.
        is_balanced: every class, or set of images, as often as the others ...
        set_shares: ... or every set so often relative to the others; empty: equally often.
        random_tiles: tiles move at random ...
        random_scales: ... and are cut from the image resized by one of these factors, or by none.
        low, high: the band of edge pixels that tiles must be in.
        distortions: kinds that rankings train on; none of other labels.
        seed: of order and moves.
        threads: that decode and cut ...
        workers: ... or so many processes; 0: threads.
    """

    kind: Kind
    batch_size: int
    tiles_per_bag: int
    is_balanced: bool
    set_shares: tuple[float, ...]
    random_tiles: bool
    random_scales: tuple[float, ...]
    low: int
    high: int
    distortions: tuple[str, ...]
    seed: int
    threads: int
    workers: int


def batch_settings_from_config(config: ml_collections.ConfigDict) -> BatchSettings:
    """Says how the training images of a run become batches."""
    kind = kind_from_config(config)
    low, high = build.edge_band_from_config(config)
    return BatchSettings(
        kind=kind,
        batch_size=config.batch_size,
        tiles_per_bag=config.bags.tiles,
        is_balanced=config.balanced_sampling,
        set_shares=build.set_shares_from_config(config),
        random_tiles=config.tiles.random,
        random_scales=tuple(config.tiles.random_scales),
        low=low,
        high=high,
        distortions=tuple(build.distortions_from_config(config)[0]) if kind.makes_versions else (),
        seed=config.seed,
        threads=config.host.threads,
        workers=config.host.workers,
    )


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What a run trains on.

    Attributes:
        manifest, source: the images.
        index: the training tiles.
        features: hand-crafted features, scaled on the training tiles.
        targets: name -> [image, ...], joined to a batch by its `image_id`.
        audit: what was found in the images, as text.
        embeddings: of all images, where the encoder is frozen and the config asks for the cache.
        known: what would give the images away elsewhere, as `identify_images`.
    """

    manifest: Manifest
    source: TileSource
    index: TileIndex
    features: FeatureTable
    targets: Mapping[str, np.ndarray]
    audit: str
    embeddings: CachedEmbeddings | None
    known: pd.DataFrame

    def examples(self, settings: BatchSettings) -> int:
        """Counts the examples of an epoch.

        Tiles, or images where a bag has several; of rankings every level of every kind of
        distortion of each image; of pairs both images of each.
        """
        images, kind = len(np.unique(self.index.image_id)), settings.kind
        if kind.makes_versions:
            return images * len(settings.distortions) * GROUP_SIZE
        if kind.is_of_pairs:
            return 2 * len(training_pairs(self.manifest.pairs, self.index))
        return len(self.index) if settings.tiles_per_bag == 1 else images

    def batches(self, settings: BatchSettings) -> Batches:
        """Opens the endless stream of training batches."""
        order: dict[str, Any] = {
            "batch_size": settings.batch_size,
            "balanced": settings.is_balanced,
            "shares": settings.set_shares,
            "seed": settings.seed,
            "threads": settings.threads,
            "workers": settings.workers,
            "process": jax.process_index(),
            "processes": jax.process_count(),
        }
        images, tiles_per_bag = self.manifest.images, settings.tiles_per_bag
        if self.embeddings is not None:
            return embedding_batches(
                self.embeddings,
                self.index,
                images,
                self.features,
                tiles_per_bag=tiles_per_bag,
                **order | {"workers": 0},  # Nothing is decoded.
            )
        cut = {
            "random_tiles": settings.random_tiles, "random_scales": settings.random_scales,
            "low": settings.low, "high": settings.high,
        }  # fmt: skip
        kind = settings.kind
        if kind.is_of_pairs:
            examples = rows_by_image(self.index)
            make_bag = bag_maker(
                self.index,
                images,
                self.features,
                examples,
                tile_reader(self.source, self.index, self.features, **cut),
                tiles_per_bag=tiles_per_bag,
            )
            del order["balanced"]
            if kind.makes_versions:
                return ranked_batches(make_bag, len(examples), [*settings.distortions], **order)
            ids = [int(self.index.image_id[rows[0]]) for rows in examples]
            numbers = {image_id: number for number, image_id in enumerate(ids)}
            pairs = training_pairs(self.manifest.pairs, self.index)
            return pair_batches(make_bag, numbers, pairs, **order)
        return training_batches(
            self.source,
            self.index,
            images,
            self.features,
            tiles_per_bag=tiles_per_bag,
            **cut,
            **order,
        )


def training_pairs(pairs: pd.DataFrame, index: TileIndex) -> pd.DataFrame:
    """Gives the pairs of which both images have tiles to train on."""
    return pairs[pairs[["first", "second"]].isin(index.image_id).all(axis=1)]


def prepare_training(
    config: ml_collections.ConfigDict, manifest: Manifest, workdir: Workdir
) -> TrainingData:
    """Audits the images, indexes the training tiles, and embeds them where they are cached.

    Raises:
        TrainingError: the data cannot be trained on.
        ManifestError: ratings that cannot be.
    """
    targets = targets_from_config(config, manifest)
    source = build.source_from_config(config, manifest, cached=True)
    needed = build.needed_splits_from_config(config)
    found = _audit(manifest, source, workdir, needed, config.data.max_pixels)
    known = identify_images(manifest, source)
    _refuse_seen(runs_before(config), images_seen_before(seen_before(config)), known)
    train_ids = _trainable_images(manifest, kind_from_config(config), found)
    index = tile_index_from_config(config, source, train_ids)
    _tell_index(index, manifest)
    if manifest.dropped_tiles:
        index = _without_dropped(index, manifest.dropped_tiles, config.data.dropped_tiles)
    hint = (
        f"widen tiles.edge_sum_min ({config.tiles.edge_sum_min}) and tiles.edge_sum_max "
        f"({config.tiles.edge_sum_max})"
        + (f", or shorten {config.data.dropped_tiles}" if manifest.dropped_tiles else "")
    )
    _check_index(index, manifest, build.label_from_config(config).classes, hint)
    features = fit_index_features(config.data.features, index, manifest.images)
    embeddings = None
    if config.bags.cached:
        embeddings = embeddings_from_config(config, initial_variables(config), source)
    text = format_audit(found)
    return TrainingData(manifest, source, index, features, targets, text, embeddings, known)


def images_seen_before(before: Seen) -> pd.DataFrame:
    """Identifies what trained the runs that a run builds on, and those before.

    Args:
        before: as `seen_before` lists it.

    Returns:
        As `identify_images`; no rows where it builds on none.

    Raises:
        TrainingError: a part cannot be told.
    """
    if before.gone:
        raise TrainingError(
            f"{before.gone[0]}: whether it has seen what is tested cannot be told. Put it back, or "
            "build on other runs (model.weights, model.ensemble)."
        )
    return before.learnt


def _refuse_seen(runs: Sequence[str], seen: pd.DataFrame, known: pd.DataFrame) -> None:
    """Makes sure that no run that this one builds on has seen what is tested here.

    Args:
        runs: the workdirs that this one builds on.
        seen: what trained them, as `images_seen_before`.
        known: the images of this one.
    """
    tested = known[~known["split"].isin(FITTED_SPLITS)]
    if leaks := find_leaks(seen, tested):
        raise TrainingError(
            f"{' or '.join(runs)} has seen what is tested here:\n"
            f"{format_leaks(leaks)}\nDraw the splits of all these runs by the same seed and "
            "data.fractions, or train on all images everywhere: "
            'data.fractions="(1.0, 0.0, 0.0)".'
        )


def _audit(
    manifest: Manifest,
    source: TileSource,
    workdir: Workdir,
    needed: Sequence[str],
    max_pixels: int,
) -> Audit:
    with meter("audit", len(manifest.images)) as progress:
        found = audit(
            manifest,
            tiling=source.tiling,
            max_pixels=max_pixels,
            needed=needed,
            progress=lambda done, _: progress.update(done),
        )
    text = format_audit(found)
    workdir.write_text("audit.txt", text)
    if found.errors:
        raise TrainingError(
            "the data cannot be trained on:\n" + "\n".join(f"  {line}" for line in found.errors)
        )
    say(text)
    return found


def _trainable_images(manifest: Manifest, kind: Kind, found: Audit) -> list[int]:
    """Lists the images of `train` that can be read and whose label, if they need one, trains."""
    train = manifest.split("train")["label"]
    is_used = kind.is_labelled(train.to_numpy()) | kind.is_of_pairs
    return [image_id for image_id in train.index[is_used] if image_id not in found.bad_images]


def _tell_index(index: TileIndex, manifest: Manifest) -> None:
    for image_id, error in index.errors.items():
        say(f"left out, {manifest.images['name'][image_id]}: {error}")
    say(f"training on {len(index)} tiles of {len(set(index.image_id.tolist()))} images; "
        f"{len(index.dropped)} are left out by tiles.edge_sum_min or edge_sum_max")  # fmt: skip


def _without_dropped(
    index: TileIndex, dropped: Collection[tuple[int, int, int]], table: str
) -> TileIndex:
    """Leaves out the tiles that a table lists."""
    kept = without_tiles(index, dropped)
    say(f"{len(index) - len(kept)} of these tiles are left out, as {table} lists them")
    return kept


def _check_index(index: TileIndex, manifest: Manifest, classes: Sequence[str], hint: str) -> None:
    """Makes sure that something is left to train on.

    Args:
        index: of the training tiles.
        manifest: of the images.
        classes: of which there must be a tile each.
        hint: what to do where there is none.
    """
    labels = set(manifest.images["label"].to_numpy()[index.image_id].tolist())
    lost = [name for number, name in enumerate(classes) if number not in labels]
    if not len(index) or lost:
        of_lost = f" of {', '.join(lost)}" if lost else ""
        raise TrainingError(f"no training tile is left{of_lost}: {hint}.")
    if manifest.pairs is not None and not len(training_pairs(manifest.pairs, index)):
        raise TrainingError("no pair is left to train on: of each, an image cannot be read.")


def tile_index_from_config(
    config: ml_collections.ConfigDict, source: TileSource, image_ids: Sequence[int]
) -> TileIndex:
    """Lists the tiles of some images that training may use: those inside the edge band."""
    low, high = build.edge_band_from_config(config)
    measures = [name for name in config.data.features if name in MEASURED]
    if low > 0 or high != NO_LIMIT:
        measures.append("edge_sum")
    with meter("tiles of", len(image_ids)) as progress:
        return index_tiles(
            source,
            image_ids,
            low=low,
            high=high,
            # Measuring decodes every image.
            measures=measures,
            threads=config.host.threads,
            progress=progress.update,
        )
