"""Says when a step is compiled: the first call with new shapes takes a while."""

from collections.abc import Callable, Mapping
from typing import Any

from iqa_jax.host.progress import note

# What a batch is of; its other values follow in shape.
_CONTENTS = ("tiles", "embeddings")


def announce(name: str, compiled: Callable) -> Callable:
    """Wraps a compiled step, `(variables, batch, ...)`, so that a line names each new shape.

    Args:
        name: of the step, for people.
        compiled: by `jit` or `pmap`; batches are arrays of tiles, or dicts with one.
    """
    seen = set()

    def call(variables: Any, batch: Any, *rest: Any) -> Any:
        values = batch if isinstance(batch, Mapping) else {"tiles": batch}
        shapes = tuple((name, value.shape) for name, value in values.items())
        if shapes not in seen:
            seen.add(shapes)
            content = next(kind for kind in _CONTENTS if kind in values)
            value = values[content]
            shape = ",".join(map(str, value.shape))
            note(f"compiling {name} for {content} {value.dtype}[{shape}]")
        return compiled(variables, batch, *rest)

    return call
