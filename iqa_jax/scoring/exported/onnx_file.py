"""A scorer as ONNX, which many programs run without JAX."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from input_pipeline.extras import extra
from iqa_jax.scoring.exported.answer import INPUTS, Answer
from iqa_jax.scoring.exported.stablehlo import abstract_inputs


def write_onnx(answer: Answer, size: int, about: Mapping[str, Any], path: Path) -> None:
    """Writes a scorer, checked by ONNX's own checker.

    Args:
        answer: of an image.
        size: of its tiles.
        about: what the caller must know, besides; each key becomes one of the file's metadata.
        path: appears when it is complete.

    Raises:
        MissingExtraError: ONNX is not installed.
        WorkdirError: the network does what the writer does not know.
    """
    with extra("onnx"):
        from onnx import helper  # pyright: ignore[reportMissingImports]

        from iqa_jax.scoring.exported.onnx_graph import Graph, element_type
        from iqa_jax.scoring.exported.onnx_operators import write_program
    given = abstract_inputs(size)
    program, said = jax.make_jaxpr(answer, return_shape=True)(*given)
    graph = Graph()
    inputs = [graph.input(name, one.shape) for name, one in zip(INPUTS, given, strict=True)]
    names = sorted(said)  # As JAX orders the values of a dictionary.
    outputs = write_program(graph, program, inputs)
    for name, value in zip(names, outputs, strict=True):
        graph.rename(graph.whole(value), name)

    def describe(name: str, one: Any) -> Any:
        lengths = [length if isinstance(length, int) else str(length) for length in one.shape]
        return helper.make_tensor_value_info(name, element_type(one.dtype), lengths)

    model = graph.model(
        [describe(name, one) for name, one in zip(INPUTS, given, strict=True)],
        [describe(name, said[name]) for name in ("score", *(n for n in names if n != "score"))],
        {key: json.dumps(value) for key, value in about.items()},
    )
    part = path.with_name(path.name + ".part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)
