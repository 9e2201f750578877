"""From bags of tiles to image-level answers: the one way to score, for every mode.

Tiles of many images run through the encoder in chunks of one shape, so that nothing recompiles
and an image may have any number of tiles; their embeddings are then fused bag by bag.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from input_pipeline.batches.whole_bags import Bag
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.kinds import fusions_for
from iqa_jax.analysis.late_fusion import LATE_FUSIONS
from iqa_jax.learning.sharding import (
    batch_sharding,
    make_mesh,
    replicated_sharding,
    second_axis_sharding,
)
from iqa_jax.learning.tasks import Task
from iqa_jax.models.fold import fold_batch_norm
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.run import build
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.encoding_queue import EncodingQueue
from iqa_jax.scoring.networks import Member, Network

_BAGS_PER_CALL = 16
# Of what a network says, which are the mean over those of an ensemble.
_VALUES = ("fused", "tiles")
_TILES_PER_CALL = 4096
# A CPU encodes so many tiles at a time: what a layer gives stays in the cache for the next one.
_TILES_PER_CPU_PART = 2


class Scorer:
    """Scores bags with one set of parameters, on the devices of this process.

    With members, values of images and tiles are the mean over all networks; embedding, attention
    and anomalies are the network's own. Bags must then have their tiles.

    Args:
        model, task: of the run.
        kind: label kind.
        fusion: name of the network's own fusion.
        headline: name of the fusion whose samples and views are kept; by default the network's.
        tiles_per_chunk: tiles per encoder call; rounded up to what the devices share equally.
        mc_samples: answers with dropout on, besides the one without.
        seed: of those samples.
        detector: tells from embeddings [tile, dim] how unlike good tiles each is.
        members: networks that answer too.
        calibration: maps of the answers, by fusion; none for raw answers.
    """

    def __init__(
        self,
        model: QualityModel,
        task: Task,
        *,
        kind: str,
        fusion: str,
        headline: str = "",
        tiles_per_chunk: int,
        mc_samples: int = 0,
        seed: int = 0,
        detector: Callable[[np.ndarray], np.ndarray] | None = None,
        members: Sequence[Member] = (),
        calibration: Mapping[str, CalibrationMap] = MappingProxyType({}),
    ):
        mesh = make_mesh(jax.local_devices())
        devices = self._devices = mesh.size
        self._replicated, self._sharded = replicated_sharding(mesh), batch_sharding(mesh)
        self._over_parts = second_axis_sharding(mesh)
        is_cpu = jax.default_backend() == "cpu"
        most = _TILES_PER_CPU_PART if is_cpu else tiles_per_chunk // devices
        per_device = min(most, tiles_per_chunk)
        self._per_part = max(per_device, 1) * devices
        self._chunk = -(-tiles_per_chunk // self._per_part) * self._per_part
        self._bags = -(-_BAGS_PER_CALL // devices) * devices
        self._late = [name for name in fusions_for(kind, fusion) if name in LATE_FUSIONS]
        self._fusion, self._headline = fusion, headline or fusion
        self._detector, self._calibration = detector, calibration
        keys = jax.random.split(jax.random.key(seed), mc_samples) if mc_samples else None
        make = partial(Network, keys=keys, is_per_tile=self._headline in LATE_FUSIONS)
        self._network = make(model, task)
        self._members = [(make(m.model, m.task), self._place(m.variables)) for m in members]
        self._prior = np.asarray(task.predict(jnp.zeros(task.outputs, jnp.float32)))

    def score(self, variables: Any, bags: Iterable[Bag]) -> Iterator[Answered]:
        """Answers images in the order of their bags, one answer for all views of an image.

        A bag with an error gets an answer with that error.
        """
        views: list[Answered] = []
        for view, answer in self._answer(variables, bags):
            if view == 0 and views:
                yield self._merge(views)
                views = []
            views.append(answer)
        if views:
            yield self._merge(views)

    def _merge(self, views: list[Answered]) -> Answered:
        merged = _merge(views, self._headline)
        return merged if merged.error else merged.calibrated(self._calibration, self._headline)

    def _answer(self, variables: Any, bags: Iterable[Bag]) -> Iterator[tuple[int, Answered]]:
        """Answers bags in their order, each with the number of its view."""
        networks = [(self._network, self._place(variables)), *self._members]
        group: list[tuple[Bag, np.ndarray]] = []
        for embedded in self._embed(networks, bags):
            # One huge image must not pad all bags of a group to its length.
            longest = max(len(embeddings) for _, embeddings in [*group, embedded])
            if group and longest * (len(group) + 1) > _TILES_PER_CALL:
                yield from self._fuse(networks, group)
                group = []
            group.append(embedded)
            if len(group) == self._bags:
                yield from self._fuse(networks, group)
                group = []
        if group:
            yield from self._fuse(networks, group)

    def embed(self, variables: Any, bags: Iterable[Bag]) -> Iterator[tuple[Bag, np.ndarray]]:
        """Encodes the tiles of all bags as one stream, cut into chunks.

        Returns:
            Each bag without its tiles, and their embeddings [tile, dim] by the network itself; in
            the bags' order. Bags that share an image come as one.
        """
        return self._embed([(self._network, self._place(variables))], bags)

    def _embed(
        self, networks: Sequence[tuple[Network, Any]], bags: Iterable[Bag]
    ) -> Iterator[tuple[Bag, np.ndarray]]:
        """Encodes by networks with parameters that are placed; the embeddings are joined."""
        queue = EncodingQueue(self._chunk, partial(self._encode, networks))
        pieces: list[tuple[Bag, np.ndarray]] = []  # Of one image.
        for bag, embeddings in queue.run(bags):
            pieces.append((bag, embeddings))
            if bag.is_last:
                joined = _join(pieces)
                # Before the caller computes: what it has, it must be able to let go of.
                pieces.clear()
                yield joined

    def _encode(
        self, networks: Sequence[tuple[Network, Any]], chunk: np.ndarray, filled: int
    ) -> np.ndarray:
        """Gives the embeddings [filled, dim] of the first tiles of a chunk, networks side by side.

        Args:
            networks: with parameters that are placed.
            chunk: [tile, height, width, 3] uint8, always of one length.
            filled: how many of its tiles count.
        """
        inputs = chunk.reshape(-1, self._per_part, *chunk.shape[1:])
        inputs = jax.device_put(inputs, self._over_parts)
        count = -(-filled // self._per_part)
        # All are under way before the first is waited for.
        each = [network.encode(variables, inputs, count) for network, variables in networks]
        for (network, _), part in zip(networks, each, strict=True):
            network.dim = part.shape[-1]
        each = [np.asarray(part).reshape(len(chunk), -1) for part in each]
        return np.concatenate(each, axis=1)[:filled]

    def _place(self, variables: Any) -> Any:
        return jax.device_put(fold_batch_norm(variables), self._replicated)

    def _split(self, embeddings: np.ndarray) -> list[np.ndarray]:
        """Gives each network its part of embeddings [..., dim]."""
        if not self._members:
            return [embeddings]
        networks = [self._network, *(network for network, _ in self._members)]
        ends = np.cumsum([network.dim for network in networks])
        return np.split(embeddings, ends[:-1], axis=-1)

    def _fuse(
        self, networks: Sequence[tuple[Network, Any]], group: list[tuple[Bag, np.ndarray]]
    ) -> Iterator[tuple[int, Answered]]:
        batch = self._batch_of(group)
        answers: dict[str, np.ndarray] = {}
        samples = None
        if batch["embeddings"].shape[-1]:
            answers, samples = self._ask(networks, batch)
        for row, (bag, embeddings) in enumerate(group):
            if bag.error:
                nothing = np.zeros((0, len(self._prior)), np.float32)
                yield 0, Answered(bag.image_id, {}, nothing, nothing[:, 0], None, bag.error)
            else:
                yield bag.view, self._answer_of(row, bag, embeddings, answers, samples)

    def _batch_of(self, group: list[tuple[Bag, np.ndarray]]) -> dict[str, np.ndarray]:
        """Lays bags out as a batch of embeddings, of one of few shapes."""
        longest = max(len(embeddings) for _, embeddings in group)
        dim = max(embeddings.shape[1] for _, embeddings in group)
        # Powers of two: few shapes to compile, whatever the images.
        length = 1 << max(longest - 1, 0).bit_length()
        features = group[0][0].features.shape[1]
        bags = self._bags
        if length * bags > _TILES_PER_CALL:
            bags = -(-len(group) // self._devices) * self._devices
        batch = {
            "embeddings": np.zeros((bags, length, dim), np.float32),
            "features": np.zeros((bags, length, features), np.float32),
            "tile_mask": np.zeros((bags, length), bool),
            "tile_position": np.zeros((bags, length, 2), np.int32),
            "grid_shape": np.ones((bags, 2), np.int32),
        }
        for row, (bag, embeddings) in enumerate(group):
            count = len(embeddings)
            if bag.layout is None or not count:
                continue
            batch["embeddings"][row, :count] = embeddings
            batch["features"][row, :count] = bag.features
            batch["tile_mask"][row, :count] = True
            batch["tile_position"][row, :count] = bag.layout.grid.positions
            batch["grid_shape"][row] = bag.layout.grid.shape
        return batch

    def _answer_of(
        self,
        row: int,
        bag: Bag,
        embeddings: np.ndarray,
        answers: dict[str, np.ndarray],
        samples: np.ndarray | None,
    ) -> Answered:
        """Reads the answer to a bag off those of its batch.

        Args:
            row: of the bag in the batch.
            bag: without error.
            embeddings: of its tiles.
            answers, samples: as `_ask` gives them.
        """
        count = len(embeddings)
        tile_values = answers["tiles"][row, :count]
        values = {name: self._fuse_late(name, tile_values) for name in self._late}
        values[self._fusion] = answers["fused"][row]
        drawn = None if samples is None else samples[:, row]
        if drawn is not None and self._headline in LATE_FUSIONS:
            drawn = self._fuse_late(self._headline, drawn[:, :count])
        return Answered(
            bag.image_id,
            values,
            tile_values,
            answers["attention"][row, :count],
            bag.layout,
            embedding=answers["embedding"][row],
            samples=drawn,
            anomaly=self._detector(self._split(embeddings)[0]) if self._detector else None,
            warning=bag.warning,
            measured=bag.measured,
        )

    def _ask(
        self, networks: Sequence[tuple[Network, Any]], batch: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Gives what `predict_step` and `sample_step` give, values as the networks' mean."""
        answers, samples = [], []
        parts = jax.device_put(self._split(batch.pop("embeddings")), self._sharded)
        batch = jax.device_put(batch, self._sharded)
        for (network, variables), embeddings in zip(networks, parts, strict=True):
            bags = {**batch, "embeddings": embeddings}
            answers.append(network.predict(variables, bags))
            if network.sample:
                samples.append(network.sample(variables, bags))
        answers, samples = jax.device_get((answers, samples))
        means = {name: np.mean([one[name] for one in answers], axis=0) for name in _VALUES}
        return answers[0] | means, np.mean(samples, axis=0) if samples else None

    def _fuse_late(self, name: str, tile_values: np.ndarray) -> np.ndarray:
        return LATE_FUSIONS[name](tile_values, np.ones(tile_values.shape[:-1], bool), self._prior)


def _join(pieces: list[tuple[Bag, np.ndarray]]) -> tuple[Bag, np.ndarray]:
    """Makes one bag of those of one image; one that has an error stands for all."""
    bad = next((piece for piece in pieces if piece[0].error), None)
    if bad or len(pieces) == 1:
        return bad or pieces[0]
    bags, embeddings = zip(*pieces, strict=True)
    features = np.concatenate([bag.features for bag in bags])
    warning = next((bag.warning for bag in bags if bag.warning), "")
    joined = dataclasses.replace(bags[-1], features=features, warning=warning)
    return joined, np.concatenate(embeddings)


def _merge(views: list[Answered], headline: str) -> Answered:
    """Makes one answer of the views of an image."""
    first = views[0]
    if first.error:
        return first
    mean = {name: np.mean([view.values[name] for view in views], axis=0) for name in first.values}
    samples = first.samples
    if samples is not None:
        drawn = [view.samples for view in views if view.samples is not None]
        samples = np.mean(drawn, axis=0)
    return dataclasses.replace(
        first,
        values=mean if len(views) > 1 else first.values,
        samples=samples,
        views=np.array([view.values[headline] for view in views]),
    )


def scorer_from_config(
    config: ml_collections.ConfigDict,
    mc_samples: int = 0,
    detector: Callable[[np.ndarray], np.ndarray] | None = None,
    members: Sequence[Member] = (),
    calibration: Mapping[str, CalibrationMap] = MappingProxyType({}),
) -> Scorer:
    """Makes the scorer of a run; the other arguments as in `Scorer`."""
    return Scorer(
        build.model_from_config(config),
        build.task_from_config(config),
        kind=config.data.label_kind,
        fusion=config.model.fusion,
        headline=config.evaluation.fusion,
        tiles_per_chunk=config.host.tiles_per_chunk,
        mc_samples=mc_samples,
        seed=config.seed,
        detector=detector,
        members=members,
        calibration=calibration,
    )
