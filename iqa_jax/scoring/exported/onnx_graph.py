"""An ONNX graph in the making: its nodes, its constants, and values whose shapes have symbols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx  # pyright: ignore[reportMissingImports] (an extra)
from onnx import helper, numpy_helper  # pyright: ignore[reportMissingImports]

from iqa_jax.run.workdir import WorkdirError

OPSET = 18
# The end of an axis, however long it is.
END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes:
        name: in the graph; empty for a constant.
        shape: that it stands for: whole numbers, and JAX's symbols.
        dims: that it has: 1 instead of a length along which it repeats itself, so that nothing is
            copied where an operator repeats it anyway.
        constant: an array of `dims`, or None.
    """

    name: str
    shape: tuple[Any, ...]
    dims: tuple[Any, ...]
    constant: np.ndarray | None = None


class Graph:
    """Collects nodes in the order of computation."""

    def __init__(self):
        self.nodes: list[Any] = []
        self._makers: dict[str, Any] = {}
        self._initializers: dict[tuple, Any] = {}
        self._lengths: dict[Any, tuple[str, int]] = {}  # Symbol -> tensor and axis that have it.

    def input(self, name: str, shape: Sequence[Any]) -> Value:
        """Makes an input."""
        return self._known(Value(name, tuple(shape), tuple(shape)))

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        shape: Sequence[Any],
        dims: Sequence[Any] | None = None,
        **attributes: Any,
    ) -> Value:
        """Adds a node.

        Args:
            operator: of ONNX.
            inputs: names of tensors; empty for one left out.
            shape, dims: of its one output; `dims` are by default the shape.
            attributes: of the operator.
        """
        name = f"v{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [name], **attributes)
        self.nodes.append(node)
        self._makers[name] = node
        return self._known(Value(name, tuple(shape), tuple(shape if dims is None else dims)))

    def rename(self, value: Value, name: str) -> None:
        """Gives a value the name that users of the file know it by."""
        self.nodes.append(helper.make_node("Identity", [self.name_of(value)], [name]))

    def maker(self, name: str) -> Any:
        """Gives the node that makes a tensor; None for an input or a constant."""
        return self._makers.get(name)

    def name_of(self, value: Value) -> str:
        """Names a value, which becomes a tensor of the file if it is a constant."""
        return value.name if value.constant is None else self.constant(value.constant)

    def constant(self, array: Any) -> str:
        """Names a constant; equal ones are kept once."""
        array = np.asarray(array)
        element_type(array.dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._initializers:
            tensor = numpy_helper.from_array(array, f"c{len(self._initializers)}")
            self._initializers[key] = tensor
        return self._initializers[key].name

    def integers(self, values: Sequence[int]) -> str:
        """Names a constant list of int64, as ONNX takes axes and shapes."""
        return self.constant(np.array(values, np.int64))

    def whole(self, value: Value) -> Value:
        """Repeats a value along the axes on which it stands for more than it has."""
        if value.dims == value.shape:
            return value
        return self.add("Expand", [self.name_of(value), self.lengths(value.shape)], value.shape)

    def lengths(self, shape: Sequence[Any]) -> str:
        """Names a tensor of int64 with the lengths of a shape, known or not."""
        if all(isinstance(length, int) for length in shape):
            return self.integers([*shape])
        parts = [
            self.integers([length]) if isinstance(length, int) else self._length(length)
            for length in shape
        ]
        return self.add("Concat", parts, (len(parts),), axis=0).name

    def _length(self, symbol: Any) -> str:
        name, axis = self._lengths[symbol]
        return self.add("Shape", [name], (1,), start=axis, end=axis + 1).name

    def _known(self, value: Value) -> Value:
        for axis, length in enumerate(value.dims):
            if not isinstance(length, int):
                self._lengths.setdefault(length, (value.name, axis))
        return value

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], about: dict[str, str]) -> Any:
        """Makes the model, without the nodes that nothing reads.

        Args:
            inputs, outputs: `ValueInfoProto`s.
            about: what is written beside the network.
        """
        needed, kept = {one.name for one in outputs}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        constants = [one for one in self._initializers.values() if one.name in needed]
        graph = helper.make_graph(kept[::-1], "iqa_jax", inputs, outputs, constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], producer_name="iqa_jax",
            ir_version=helper.find_min_ir_version_for([opset]),
        )  # fmt: skip
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model


def element_type(dtype: Any) -> int:
    """Gives ONNX's number of a type.

    Raises:
        WorkdirError: it is one that few programs which run ONNX can compute in.
    """
    if np.dtype(dtype).name == "bfloat16":
        raise WorkdirError(
            "a run of model.dtype=bfloat16 cannot be exported as .onnx, in which hardly a program "
            "computes so: export it as .stablehlo."
        )
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
