"""From bags of tiles to what explains their answers: the scorer's way, with the maps kept."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Float32

from input_pipeline.batches.whole_bags import Bag, pad_bag
from input_pipeline.tiles.sources import Layout
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.detectors import Detector
from iqa_jax.analysis.grad_cam import embedding_gradient, grad_cam
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.late_fusion import LATE_FUSIONS, most_probable
from iqa_jax.analysis.maps import Maps, make_maps
from iqa_jax.learning.augment import to_unit
from iqa_jax.learning.tasks import Task
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.run import build
from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.networks import Member
from iqa_jax.scoring.scorer import Scorer, scorer_from_config


@dataclasses.dataclass(frozen=True)
class Explained:
    """An image's answer and where it comes from.

    Attributes:
        answer: as the scorer gives it.
        maps: over the image; None with an error.
        explains: what the Grad-CAM shows, for people: `what speaks for "bad"`.
    """

    answer: Answered
    maps: Maps | None
    explains: str


class Explainer:
    """Explains bags with one set of parameters, on one device.

    Answers are those of the whole ensemble, if any; Grad-CAM asks the run's own network.

    Grad-CAM shows what makes an image bad: classes in an order, what speaks for the lower ones;
    scores, what lowers them. Classes without an order: what speaks for the one that is answered.
    Where the headline fuses the answers of tiles, each tile's map explains that tile alone; where
    it is the network's own fusion, the maps of all tiles explain its answer together.

    Args:
        model, task: of the run.
        scorer: of the run; gives the answers, from embeddings too if the run has no members.
        kind: what the answers mean.
        headline: the fusion that is explained.
        pooling: of the encoder's feature maps.
        tile_size: pixels.
        tiles_per_chunk: tiles per encoder call.
        has_members: whether networks answer beside the run's own.
    """

    def __init__(
        self,
        model: QualityModel,
        task: Task,
        scorer: Scorer,
        *,
        kind: Kind,
        headline: str,
        pooling: str,
        tile_size: int,
        tiles_per_chunk: int,
        has_members: bool = False,
    ):
        self._scorer, self._has_members = scorer, has_members
        self._kind, self._headline = kind, headline
        self._tile_size, self._chunk = tile_size, tiles_per_chunk
        self._encode = jax.jit(
            lambda variables, tiles: model.apply(
                variables, to_unit(tiles), method="encode_with_map"
            )
        )
        self._differentiate = jax.jit(
            partial(
                embedding_gradient,
                model=model,
                predict=task.predict,
                is_alone=headline in LATE_FUSIONS,
            )
        )
        self._grad_cam = jax.jit(partial(grad_cam, pooling=pooling))

    def explain(self, variables: Any, bags: Iterable[Bag], of: str = "") -> Iterator[Explained]:
        """Explains bags in their order; a bag with an error gives an answer with that error.

        Args:
            variables: parameters and statistics.
            bags: with their tiles.
            of: explain what speaks for this class; empty for what makes an image bad.

        Raises:
            ValueError: there is no such class.
        """
        classes = self._kind.classes
        if of and of not in classes:
            known = ", ".join(classes) or "none, for labels are scores"
            raise ValueError(f"there is no class {of!r} to explain; the classes are: {known}.")
        group: list[Bag] = []
        for bag in bags:
            # Small images share a call of the encoder.
            if group and sum(len(one.tiles) for one in [*group, bag]) > self._chunk:
                yield from self._explain_group(variables, group, of)
                group = []
            group.append(bag)
        if group:
            yield from self._explain_group(variables, group, of)

    def _explain_group(self, variables: Any, group: list[Bag], of: str) -> Iterator[Explained]:
        tiles = np.concatenate([bag.tiles for bag in group])
        ends = np.cumsum([len(bag.tiles) for bag in group])[:-1]
        embeddings, last_maps = self._in_chunks(partial(self._encode, variables), tiles)
        embeddings = embeddings.astype(np.float32)
        bare = [
            dataclasses.replace(bag, tiles=bag.tiles[:0], embeddings=part)
            for bag, part in zip(group, np.split(embeddings, ends), strict=True)
        ]
        # The other networks of an ensemble have not encoded these tiles.
        answers = list(self._scorer.score(variables, group if self._has_members else bare))
        shares = [self._shares(answer, of) for answer in answers]
        gradients = [
            self._gradient(variables, bag, part, share)
            for bag, part, share in zip(group, np.split(embeddings, ends), shares, strict=True)
        ]
        (cams,) = self._in_chunks(
            lambda *values: (self._grad_cam(*values),),
            last_maps, embeddings, np.concatenate(gradients),
        )  # fmt: skip
        for answer, share, cam in zip(answers, shares, np.split(cams, ends), strict=True):
            maps = None if answer.layout is None else self._lay_out(answer, answer.layout, cam)
            yield Explained(answer, maps, self._describe(share, of))

    def _in_chunks(self, function, *values: np.ndarray) -> list[np.ndarray]:
        """Applies a function of arrays over tiles in pieces of few shapes, each compiled once."""
        count, parts = len(values[0]), []
        for start in range(0, max(count, 1), self._chunk):
            pieces = [value[start : start + self._chunk] for value in values]
            # A small image alone does not pay for a whole chunk.
            length = min(1 << max(len(pieces[0]) - 1, 0).bit_length(), self._chunk)
            padded = [
                np.concatenate([p, np.zeros((length - len(p), *p.shape[1:]), p.dtype)])
                for p in pieces
            ]
            parts.append([np.asarray(part)[: len(pieces[0])] for part in function(*padded)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _gradient(
        self,
        variables: Any,
        bag: Bag,
        embeddings: Float32[np.ndarray, "tile dim"],
        shares: Float32[np.ndarray, " values"] | None,
    ) -> Float32[np.ndarray, "tile dim"]:
        """Gives how the answer changes with each tile's embedding; without tiles there is none."""
        count = len(embeddings)
        if bag.layout is None or not count:
            return embeddings
        values = {
            "embeddings": embeddings,
            "features": bag.features,
            "tile_position": bag.layout.grid.positions,
        }
        # Powers of two: few shapes to compile, whatever the images.
        padded = pad_bag(values, 1 << (count - 1).bit_length())
        padded["grid_shape"] = np.array(bag.layout.grid.shape, np.int32)
        one_bag = {name: jnp.asarray(value)[None] for name, value in padded.items()}
        return np.asarray(self._differentiate(variables, one_bag, shares))[0, :count]

    def _shares(self, answer: Answered, of: str) -> Float32[np.ndarray, " values"] | None:
        """Gives how much each class is what is to be explained; None for scores."""
        classes = self._kind.classes
        if not classes:
            return None
        if of:
            chosen = classes.index(of)
        elif self._kind.has_order:
            return np.linspace(1, 0, len(classes), dtype=np.float32)
        else:
            chosen = 0 if answer.error else most_probable(answer.values[self._headline])
        return np.eye(len(classes), dtype=np.float32)[int(chosen)]

    def _describe(self, shares: np.ndarray | None, of: str) -> str:
        classes = self._kind.classes
        if shares is None or (len(classes) > 2 and not of and self._kind.has_order):
            return "what lowers the score"
        return f'what speaks for "{classes[int(shares.argmax())]}"'

    def _lay_out(self, answer: Answered, layout: Layout, cam: np.ndarray) -> Maps:
        return make_maps(
            self._kind.score_of(answer.tile_values),
            answer.attention,
            cam,
            layout.grid.origins,
            self._tile_size,
            layout.height,
            layout.width,
            anomaly=answer.anomaly,
        )


def explainer_from_config(
    config: ml_collections.ConfigDict,
    detector: Detector | None = None,
    members: Sequence[Member] = (),
    calibration: Mapping[str, CalibrationMap] = MappingProxyType({}),
) -> Explainer:
    """Makes the explainer of a run.

    Args:
        config: of the run.
        detector: of anomalous tiles, if any.
        members: networks that answer beside the run's own.
        calibration: maps of the answers, by fusion; Grad-CAM and the scores of tiles are of the
            network's own answers.
    """
    return Explainer(
        build.model_from_config(config),
        build.task_from_config(config),
        scorer_from_config(config, detector=detector, members=members, calibration=calibration),
        kind=kind_from_config(config),
        headline=config.evaluation.fusion,
        pooling=config.model.pooling,
        tile_size=config.tiles.size,
        tiles_per_chunk=config.host.tiles_per_chunk,
        has_members=bool(members),
    )
