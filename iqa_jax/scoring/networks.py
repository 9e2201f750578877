"""A network as the scorer asks it: compiled functions of its parameters."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from iqa_jax.host.compiling import announce
from iqa_jax.learning.steps import encode_step, predict_step, sample_step
from iqa_jax.learning.tasks import Task
from iqa_jax.models.quality_model import QualityModel


class Member(NamedTuple):
    """A network that answers beside another one, with parameters of its own."""

    model: QualityModel
    task: Task
    variables: Any


class Network:
    """A model's steps for prediction, compiled.

    Attributes:
        dim: of its embeddings; 0 until it has encoded.
        encode: `(variables, parts [part, n, height, width, 3], count)` -> embeddings [part, n, dim]
            of the tiles of the first so many parts.
        predict: see `predict_step`.
        sample: see `sample_step`; None without keys.

    Args:
        model, task: of a run.
        keys: of samples with dropout on, if any.
        is_per_tile: such a sample answers every tile as a bag of its own.
    """

    def __init__(
        self,
        model: QualityModel,
        task: Task,
        keys: Key[Array, " sample"] | None = None,
        is_per_tile: bool = False,
    ):
        self.dim, both = 0, {"model": model, "task": task}
        self.encode = announce("encode", jax.jit(partial(_encode_parts, model=model)))
        self.predict = announce("predict", jax.jit(partial(predict_step, **both)))
        self.sample = None
        if keys is not None:
            sample = partial(sample_step, keys=keys, is_per_tile=is_per_tile, **both)
            self.sample = announce("sample", jax.jit(sample))


def _encode_parts(
    variables: Any,
    parts: UInt8[Array, "part n height width 3"],
    count: Int[Array, ""],
    *,
    model: QualityModel,
) -> Float[Array, "part n dim"]:
    """Gives the embeddings of the tiles of the first so many parts, some at a time."""
    encode = partial(encode_step, variables, model=model)
    one = jax.eval_shape(encode, parts[0])
    embeddings = jnp.zeros((len(parts), *one.shape), one.dtype)
    # A loop and not a `scan`: what a chunk is not filled with costs no time.
    return jax.lax.fori_loop(
        0, count, lambda index, done: done.at[index].set(encode(parts[index])), embeddings
    )
