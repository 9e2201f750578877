"""A scorer as StableHLO, which JAX and other compilers run without this package.

The file is a zip of `answer.bin`, which `jax.export.deserialize` reads, and `about.json`.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from input_pipeline.extras import extra
from iqa_jax.scoring.exported.answer import Answer

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, ABOUT = "answer.bin", "about.json"


def abstract_inputs(size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Gives shapes and types of what is answered, the number of tiles a symbol.

    Args:
        size: of a tile, in pixels.
    """
    (tile,) = jax.export.symbolic_shape("tile")
    return (
        jax.ShapeDtypeStruct((tile, size, size, 3), jnp.uint8),
        jax.ShapeDtypeStruct((tile,), jnp.bool_),
        jax.ShapeDtypeStruct((tile, 2), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.int32),
    )


def write_stablehlo(answer: Answer, size: int, about: Mapping[str, Any], path: Path) -> None:
    """Writes a scorer for every platform.

    Args:
        answer: of an image.
        size: of its tiles.
        about: what the caller must know, besides.
        path: appears when it is complete.

    Raises:
        MissingExtraError: what JAX writes programs with is not installed.
    """
    with extra("stablehlo"):
        import flatbuffers  # noqa: F401 (JAX imports it when all else is done)
    exported = jax.export.export(jax.jit(answer), platforms=PLATFORMS)(*abstract_inputs(size))
    program = bytes(exported.serialize())
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w") as file:
        for name, content in ((PROGRAM, program), (ABOUT, json.dumps(about))):
            # Without the date: a scorer always gives the same file.
            file.writestr(zipfile.ZipInfo(name), content)
    part.replace(path)
