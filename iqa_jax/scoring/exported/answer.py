"""What an exported file computes: the answer to one image, from its tiles to its score.

It is what `Scorer` answers to one view of an image, written as one pure function, so that it can be
traced: all networks of the run, the headline fusion, its calibration, the direction of the labels.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from iqa_jax.analysis.calibration_map import LEAST_PROBABILITY, CalibrationMap
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.late_fusion import LATE_FUSIONS
from iqa_jax.learning.steps import encode_step, predict_step
from iqa_jax.models.fold import fold_batch_norm
from iqa_jax.run import build
from iqa_jax.run.workdir import WorkdirError
from iqa_jax.scoring.networks import Member
from iqa_jax.scoring.trained_run import TrainedRun

# In the order in which the function takes them.
INPUTS = ("tiles", "tile_mask", "tile_position", "grid_shape")
Answer = Callable[[Array, Array, Array, Array], dict[str, Array]]


def answer_from_config(config: ml_collections.ConfigDict, run: TrainedRun) -> Answer:
    """Makes the function that answers one image.

    Args:
        config: of the run.
        run: opened.

    Returns:
        `(tiles [tile, size, size, 3] uint8, tile_mask [tile] bool, tile_position [tile, 2] int32,
        grid_shape [2] int32)` -> `score` [], as tables of answers have it; `tile_scores` [tile];
        `attention` [tile]; and where labels are classes, their `probabilities` [class].

    Raises:
        WorkdirError: it hangs on more than the tiles.
    """
    if run.features.names:
        raise WorkdirError(
            f"{run.name} also answers by {', '.join(run.features.names)} (data.features), which "
            "are measured outside the network: it can be exported as .safetensors alone."
        )
    own = Member(build.model_from_config(config), build.task_from_config(config), run.variables)
    return make_answer([own, *run.members], run.kind, run.headline, run.calibration or {})


def make_answer(
    networks: Sequence[Member],
    kind: Kind,
    headline: str,
    calibration: Mapping[str, CalibrationMap],
) -> Answer:
    """Makes the function that answers one image; see `answer_from_config`.

    Args:
        networks: whose values are averaged; attention is that of the first.
        kind: what the answers mean.
        headline: the fusion that the score is of.
        calibration: maps of the image's probabilities, by fusion.
    """
    networks = [
        member._replace(variables=jax.tree.map(jnp.asarray, fold_batch_norm(member.variables)))
        for member in networks
    ]
    task = networks[0].task
    prior = np.asarray(task.predict(jnp.zeros(task.outputs, jnp.float32)))

    def answer(
        tiles: UInt8[Array, "tile size size 3"],
        tile_mask: Bool[Array, " tile"],
        tile_position: Int[Array, "tile 2"],
        grid_shape: Int[Array, " 2"],
    ) -> dict[str, Array]:
        places = {"tile_mask": tile_mask, "tile_position": tile_position, "grid_shape": grid_shape}
        said = [_ask(network, tiles, places) for network in networks]
        fused, each = (_mean_of([one[name] for one in said]) for name in ("fused", "tiles"))
        if headline in LATE_FUSIONS:
            fused = _fuse_late(headline, each, tile_mask, prior)
        values = _calibrate(calibration[headline], fused) if headline in calibration else fused
        found = {
            "score": _score(kind, values),
            "tile_scores": _score(kind, each),
            "attention": said[0]["attention"],
        }
        return found | ({"probabilities": values} if kind.has_classes else {})

    return answer


def _mean_of(values: Sequence[Array]) -> Array:
    return functools.reduce(jnp.add, values) / len(values)


def _ask(network: Member, tiles: Array, places: dict[str, Array]) -> dict[str, Array]:
    """Gives `predict_step` of one image."""
    embeddings = encode_step(network.variables, tiles, model=network.model)
    bag = {"embeddings": embeddings, "features": embeddings[:, :0], **places}
    batch = {name: value[None] for name, value in bag.items()}
    answers = predict_step(network.variables, batch, model=network.model, task=network.task)
    return {name: value[0] for name, value in answers.items()}


def _fuse_late(
    name: str,
    each: Float[Array, "tile values"],
    tile_mask: Bool[Array, " tile"],
    prior: Float[np.ndarray, " values"],
) -> Float[Array, " values"]:
    """Does what `LATE_FUSIONS` do, which are NumPy's."""
    if name == "vote":
        # Between equals the last wins, as in `most_probable`.
        last = each.shape[1] - 1 - jnp.argmax(each[:, ::-1], axis=1)
        each = (last[:, None] == jnp.arange(each.shape[1])).astype(jnp.float32)
    total = jnp.where(tile_mask[:, None], each, 0).sum(axis=0)
    count = tile_mask.sum(dtype=jnp.float32)
    return jnp.where(count > 0, total / jnp.maximum(count, 1), prior)


def _calibrate(found: CalibrationMap, raw: Float[Array, " k"]) -> Float[Array, " k"]:
    """Does what a `CalibrationMap` does, which is NumPy's."""
    slope, biases = np.float32(found.slope), np.array(found.biases, np.float32)
    if found.is_ordered:
        score = (raw * np.linspace(0, 1, raw.shape[-1], dtype=np.float32)).sum()
        score = jnp.clip(score, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        is_above = jax.nn.sigmoid(slope * (jnp.log(score) - jnp.log(1 - score)) + biases)
        one, zero = jnp.ones(1), jnp.zeros(1)
        fitted = jnp.concatenate([one, is_above]) - jnp.concatenate([is_above, zero])
    else:
        kept = jnp.stack([1 - raw[1], raw[1]]) if len(raw) == 2 else raw
        fitted = jax.nn.softmax(slope * jnp.log(jnp.clip(kept, LEAST_PROBABILITY, 1)) + biases)
    return np.float32(1 - found.share) * raw + np.float32(found.share) * fitted


def _score(kind: Kind, values: Float[Array, "*any values"]) -> Float[Array, "*any"]:
    """Does what `Kind.written_score` does, which is NumPy's.

    Where the answers have an order, that is a weighted sum, whose weights it is asked for.
    """
    if not kind.has_order:
        return values.max(axis=-1)
    count = values.shape[-1]
    shift = kind.written_score(np.zeros((1, count)))
    weights = kind.written_score(np.eye(count)) - shift
    # Not a product of matrices, which accelerators round.
    return (values * weights.astype(np.float32)).sum(axis=-1) + np.float32(shift[0])
