"""From operations of JAX to nodes of ONNX: those that the networks of this program consist of.

A converter of the whole of JAX, such as jax2onnx, would need other releases of what this program
needs than it does. What is written here is only what the tests of every encoder, fusion and head
ask for; another operation ends the export with a sentence.
"""

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr

from iqa_jax.run.workdir import WorkdirError
from iqa_jax.scoring.exported.onnx_graph import END, Graph, Value, element_type

# JAX's name -> the operator of ONNX that does the same, element by element.
_ELEMENTWISE = {
    "abs": "Abs", "add": "Add", "and": "And", "cos": "Cos", "div": "Div", "eq": "Equal",
    "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual",
    "log": "Log", "logistic": "Sigmoid", "lt": "Less", "max": "Max", "min": "Min", "mul": "Mul",
    "neg": "Neg", "not": "Not", "or": "Or", "pow": "Pow", "sign": "Sign", "sin": "Sin",
    "sqrt": "Sqrt", "sub": "Sub", "tanh": "Tanh",
}  # fmt: skip
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}
_RUNNING = {"cumprod": "Mul", "cummin": "Min", "cumsum": "Add"}
# Operations that are written out elsewhere in the program, and the parameter that holds it.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr",
          "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}  # fmt: skip

# What is done to kernels before they are used, without compiling anything for it.
_FOLDED = {
    "convert_element_type": lambda x, how: x.astype(how["new_dtype"]),
    "reshape": lambda x, how: x.reshape(how["new_sizes"]),
    "squeeze": lambda x, how: x.squeeze(how["dimensions"]),
    "transpose": lambda x, how: x.transpose(how["permutation"]),
}


def write_program(graph: Graph, program: Any, inputs: Sequence[Value]) -> list[Value]:
    """Adds a traced function to a graph.

    Args:
        graph: that it is added to.
        program: a closed jaxpr.
        inputs: of the function.

    Returns:
        Its outputs.

    Raises:
        WorkdirError: it does what is not written here.
    """
    known: dict[Any, Value] = {}

    def read(place: Any) -> Value:
        return constant_value(place.val) if hasattr(place, "val") else known[place]

    known.update(zip(program.jaxpr.invars, inputs, strict=True))
    known.update(zip(program.jaxpr.constvars, map(constant_value, program.consts), strict=True))
    for equation in program.jaxpr.eqns:
        given = [read(place) for place in equation.invars]
        known.update(zip(equation.outvars, _write(graph, equation, given), strict=True))
    return [read(place) for place in program.jaxpr.outvars]


def constant_value(array: Any) -> Value:
    """Makes a value of an array."""
    array = np.asarray(array)
    return Value("", array.shape, array.shape, array)


def _write(graph: Graph, equation: Any, given: list[Value]) -> list[Value]:
    name, parameters = equation.primitive.name, equation.params
    if name in _CALLS:
        called = parameters[_CALLS[name]]
        if not hasattr(called, "consts"):
            called = ClosedJaxpr(called, ())
        return write_program(graph, called, given)
    if name == "platform_index":
        return [constant_value(np.int32(0))]
    if name == "dim_as_value":
        length = graph.add("Squeeze", [graph.lengths([parameters["dim"]])], ())
        dtype = equation.outvars[0].aval.dtype
        return [graph.add("Cast", [length.name], (), to=element_type(dtype))]
    if name == "cond" and parameters["branches_platforms"]:
        default = parameters["branches_platforms"].index(None)
        return write_program(graph, parameters["branches"][default], given[1:])
    shapes = [place.aval.shape for place in equation.outvars]
    is_known = all(one.constant is not None and one.dims == one.shape for one in given)
    if is_known and all(isinstance(length, int) for shape in shapes for length in shape):
        if name in _FOLDED:
            return [constant_value(_FOLDED[name](given[0].constant, parameters))]
        found = equation.primitive.bind(*(one.constant for one in given), **parameters)
        found = found if equation.primitive.multiple_results else [found]
        return [constant_value(one) for one in found]
    if name in _ELEMENTWISE:
        return [_elementwise(graph, _ELEMENTWISE[name], given, shapes[0])]
    if name not in _WRITERS:
        raise WorkdirError(
            f"the network does what the writer of .onnx does not know ({name}): export it as "
            ".stablehlo."
        )
    return [_WRITERS[name](graph, given, shapes[0], equation)]


def _elementwise(graph: Graph, operator: str, given: list[Value], shape: Any) -> Value:
    if operator in ("Max", "Min") and (cut := _cut(graph, operator, given, shape)):
        return cut
    return graph.add(operator, [graph.name_of(one) for one in given], shape, _dims_of(given))


def _dims_of(given: list[Value]) -> tuple[Any, ...]:
    """Gives the lengths of what comes of values element by element."""
    return tuple(
        next((length for length in lengths if length != 1), 1)
        for lengths in zip(*(one.dims for one in given if one.shape), strict=True)
    )


def _cut(graph: Graph, operator: str, given: list[Value], shape: Any) -> Value | None:
    """Writes a bound as a Clip, which programs fuse with the convolution before it."""
    bounds = [one.constant for one in given if one.constant is not None and one.constant.size == 1]
    if len(bounds) != 1 or bounds[0].dtype != np.float32:
        return None
    (x,) = (one for one in given if one.constant is not bounds[0])
    bound, source, low = graph.constant(bounds[0].reshape(())), graph.name_of(x), ""
    if operator == "Max":
        return graph.add("Clip", [source, bound], shape, x.dims)
    before = graph.maker(source)
    if before is not None and before.op_type == "Clip" and len(before.input) == 2:
        source, low = before.input
    return graph.add("Clip", [source, low, bound], shape, x.dims)


def _broadcast(graph, given, shape, equation):
    (x, *_), places = given, equation.params["broadcast_dimensions"]
    dims = [1] * len(shape)
    for place, length in zip(places, x.dims, strict=True):
        dims[place] = length
    if x.constant is not None:
        array = x.constant.reshape(dims)
        return Value("", tuple(shape), tuple(dims), array)
    added = [axis for axis in range(len(shape)) if axis not in places]
    if not added:
        return Value(x.name, tuple(shape), tuple(dims))
    return graph.add("Unsqueeze", [x.name, graph.integers(added)], shape, dims)


def _reshape(graph, given, shape, equation):
    x = graph.whole(given[0])
    unknown = [length for length in shape if not isinstance(length, int)]
    if len(unknown) > 1:
        lengths = graph.lengths(shape)
    else:
        lengths = graph.integers([length if isinstance(length, int) else -1 for length in shape])
    return graph.add("Reshape", [graph.name_of(x), lengths], shape)


def _squeeze(graph, given, shape, equation):
    x, axes = graph.whole(given[0]), equation.params["dimensions"]
    return graph.add("Squeeze", [graph.name_of(x), graph.integers(axes)], shape)


def _transpose(graph, given, shape, equation):
    x = graph.whole(given[0])
    return graph.add(
        "Transpose", [graph.name_of(x)], shape, perm=list(equation.params["permutation"])
    )


def _concatenate(graph, given, shape, equation):
    names = [graph.name_of(graph.whole(one)) for one in given]
    return graph.add("Concat", names, shape, axis=equation.params["dimension"])


def _slice(graph, given, shape, equation):
    (x, *_), parameters = given, equation.params
    x, steps = graph.whole(x), parameters["strides"] or [1] * len(shape)
    ends = [
        END if end == length else end
        for end, length in zip(parameters["limit_indices"], x.shape, strict=True)
    ]
    parts = (parameters["start_indices"], ends, range(len(shape)), steps)
    return graph.add("Slice", [graph.name_of(x), *map(graph.lengths, parts)], shape)


def _dynamic_slice(graph, given, shape, equation):
    x, *starts = given
    x = graph.whole(x)
    for axis, (start, length) in enumerate(zip(starts, shape, strict=True)):
        if length == x.shape[axis]:
            continue
        start = graph.add("Unsqueeze", [_as_int64(graph, start).name, graph.integers([0])], (1,))
        end = graph.add("Add", [start.name, graph.lengths([length])], (1,))
        names = [graph.name_of(x), start.name, end.name, graph.integers([axis])]
        x = graph.add("Slice", names, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
    return x


def _reverse(graph, given, shape, equation):
    x, axes = graph.whole(given[0]), equation.params["dimensions"]
    count = len(axes)
    parts = ([-1] * count, [-END] * count, axes, [-1] * count)
    return graph.add("Slice", [graph.name_of(x), *map(graph.integers, parts)], shape)


def _pad(graph, given, shape, equation):
    x, fill = graph.whole(given[0]), given[1]
    low, high, inner = zip(*equation.params["padding_config"], strict=True)
    if any(inner) or min(*low, *high) < 0:
        raise WorkdirError("the writer of .onnx knows no such padding: export it as .stablehlo.")
    names = [graph.name_of(x), graph.integers([*low, *high]), graph.name_of(fill)]
    return graph.add("Pad", names, shape)


def _select(graph, given, shape, equation):
    which, no, yes = given
    names = [graph.name_of(one) for one in (which, yes, no)]
    return graph.add("Where", names, shape, _dims_of(given))


def _convert(graph, given, shape, equation):
    (x,), dtype = given, equation.params["new_dtype"]
    return graph.add("Cast", [graph.name_of(x)], shape, x.dims, to=element_type(dtype))


def _differs(graph, given, shape, equation):
    same = _elementwise(graph, "Equal", given, shape)
    return graph.add("Not", [same.name], shape, same.dims)


def _power(graph, given, shape, equation):
    (x,), power = given, equation.params["y"]
    names = [graph.name_of(x), graph.constant(np.float32(power))]
    return graph.add("Pow", names, shape, x.dims)


def _square(graph, given, shape, equation):
    (x,) = given
    return graph.add("Mul", [graph.name_of(x)] * 2, shape, x.dims)


def _rsqrt(graph, given, shape, equation):
    (x,) = given
    root = graph.add("Sqrt", [graph.name_of(x)], shape, x.dims)
    return graph.add("Reciprocal", [root.name], shape, x.dims)


def _remainder(graph, given, shape, equation):
    return graph.add("Mod", [graph.name_of(graph.whole(one)) for one in given], shape, fmod=1)


def _is_finite(graph, given, shape, equation):
    (x,) = given
    names = [graph.add(what, [graph.name_of(x)], shape, x.dims).name for what in ("IsInf", "IsNaN")]
    either = graph.add("Or", names, shape, x.dims)
    return graph.add("Not", [either.name], shape, x.dims)


def _reduce(graph, given, shape, equation):
    x, axes = graph.whole(given[0]), graph.integers(equation.params["axes"])
    operator = _REDUCTIONS[equation.primitive.name]
    return graph.add(operator, [graph.name_of(x), axes], shape, keepdims=0)


def _any(graph, given, shape, equation):
    x, axes = graph.whole(given[0]), graph.integers(equation.params["axes"])
    operator = "ReduceMax" if equation.primitive.name == "reduce_or" else "ReduceMin"
    numbers = graph.add("Cast", [graph.name_of(x)], x.shape, to=element_type(np.int32))
    found = graph.add(operator, [numbers.name, axes], shape, keepdims=0)
    return graph.add("Cast", [found.name], shape, to=element_type(np.bool_))


def _argmax(graph, given, shape, equation):
    x, (axis,) = graph.whole(given[0]), equation.params["axes"]
    found = graph.add("ArgMax", [graph.name_of(x)], shape, axis=axis, keepdims=0)
    wanted = element_type(equation.params["index_dtype"])
    return graph.add("Cast", [found.name], shape, to=wanted)


def _run_along(graph, given, shape, equation):
    """Writes sums, products and minima so far, along an axis of a few classes."""
    x, axis = graph.whole(given[0]), equation.params["axis"]
    part = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = []
    for place in range(shape[axis]):
        ends = map(graph.integers, ([place], [place + 1], [axis]))
        one = graph.add("Slice", [graph.name_of(x), *ends], part)
        operator = _RUNNING[equation.primitive.name]
        parts.append(graph.add(operator, [parts[-1].name, one.name], part) if parts else one)
    return graph.add("Concat", [one.name for one in parts], shape, axis=axis)


def _gather(graph, given, shape, equation):
    """Writes a look-up in one axis or in the first few at once, or a part of some axes."""
    x, indices = (graph.whole(one) for one in given)
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    axes, offsets, batch = numbers.start_index_map, numbers.offset_dims, indices.shape[:-1]
    others = [axis for axis in range(len(x.shape)) if axis not in axes]
    names = [graph.name_of(x), _as_int64(graph, indices).name]
    is_plain = all(sizes[axis] == x.shape[axis] for axis in others)
    is_plain = is_plain and not numbers.operand_batching_dims
    if is_plain and numbers.collapsed_slice_dims == () and not batch:
        size = graph.lengths([sizes[axis] for axis in axes])
        end = graph.add("Add", [names[1], size], (len(axes),))
        return graph.add("Slice", [*names, end.name, graph.integers(axes)], shape)
    is_plain = is_plain and numbers.collapsed_slice_dims == axes
    if is_plain and len(axes) == 1:
        return _look_up(graph, names, axes[0], x.shape, batch, offsets, shape)
    is_last = offsets == tuple(range(len(batch), len(shape)))
    if is_plain and axes == tuple(range(len(axes))) and is_last:
        return graph.add("GatherND", names, shape)
    raise WorkdirError("the writer of .onnx knows no such look-up: export it as .stablehlo.")


def _as_int64(graph: Graph, value: Value) -> Value:
    name = graph.name_of(value)
    return graph.add("Cast", [name], value.shape, to=element_type(np.int64))


def _look_up(
    graph: Graph,
    names: list[str],
    axis: int,
    table: Sequence[Any],
    batch: Sequence[Any],
    offsets: Sequence[int],
    shape: Sequence[Any],
) -> Value:
    """Writes a look-up in one axis.

    Args:
        graph: that it is added to.
        names: of the table and of the places in it [*batch, 1].
        axis: of the table.
        table, batch: lengths of both.
        offsets: axes of the result that are the table's others.
        shape: of the result.
    """
    places = graph.add("Squeeze", [names[1], graph.integers([len(batch)])], batch)
    found = (*table[:axis], *batch, *table[axis + 1 :])
    value = graph.add("Gather", [names[0], places.name], found, axis=axis)
    others = iter([*range(axis), *range(axis + len(batch), len(found))])
    looked_up = iter(range(axis, axis + len(batch)))
    order = [next(others if place in offsets else looked_up) for place in range(len(shape))]
    if order == sorted(order):
        return value
    return graph.add("Transpose", [value.name], shape, perm=order)


def _multiply(graph, given, shape, equation):
    """Writes a product of matrices; a map's channels by a fixed matrix as a convolution."""
    x, y = (graph.whole(one) for one in given)
    (left, right), (left_batch, right_batch) = equation.params["dimension_numbers"]
    is_plain = not left_batch and left == (len(x.shape) - 1,) and right == (0,)
    if is_plain and len(x.shape) == 4 and y.constant is not None and y.constant.ndim == 2:
        kernel = y.constant.T[:, :, None, None]
        return _convolve_with(graph, x, kernel, shape)
    if is_plain and len(y.shape) == 2:
        return graph.add("MatMul", [graph.name_of(x), graph.name_of(y)], shape)
    letters = iter(string.ascii_letters)
    ours = [next(letters) for _ in x.shape]
    theirs = [next(letters) for _ in y.shape]
    for one, other in zip((*left, *left_batch), (*right, *right_batch), strict=True):
        theirs[other] = ours[one]
    result = [ours[axis] for axis in left_batch]
    for names, gone in ((ours, (*left, *left_batch)), (theirs, (*right, *right_batch))):
        result += [letter for axis, letter in enumerate(names) if axis not in gone]
    formula = f"{''.join(ours)},{''.join(theirs)}->{''.join(result)}"
    return graph.add("Einsum", [graph.name_of(x), graph.name_of(y)], shape, equation=formula)


def _convolve(graph, given, shape, equation):
    x, kernel = graph.whole(given[0]), given[1].constant
    parameters = equation.params
    layout = parameters["dimension_numbers"]
    is_known = tuple(layout) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    if (
        kernel is None
        or not is_known
        or {*parameters["lhs_dilation"], *parameters["rhs_dilation"]} != {1}
    ):
        raise WorkdirError("the writer of .onnx knows no such layer: export it as .stablehlo.")
    low, high = zip(*parameters["padding"], strict=True)
    return _convolve_with(
        graph,
        x,
        kernel.transpose(3, 2, 0, 1),
        shape,
        strides=list(parameters["window_strides"]),
        pads=[*low, *high],
        group=parameters["feature_group_count"],
    )


def _convolve_with(graph: Graph, x: Value, kernel: np.ndarray, shape: Any, **how: Any) -> Value:
    """Writes a convolution of maps [n, height, width, channel], which ONNX has channel first.

    Args:
        graph: that it is added to.
        x: the maps.
        kernel: [out, in, height, width].
        shape: of the result.
        how: attributes of the node.
    """
    n, height, width, channels = x.shape
    turned = graph.add("Transpose", [x.name], (n, channels, height, width), perm=[0, 3, 1, 2])
    names = [turned.name, graph.constant(np.ascontiguousarray(kernel))]
    found = graph.add("Conv", names, [shape[axis] for axis in (0, 3, 1, 2)], **how)
    return graph.add("Transpose", [found.name], shape, perm=[0, 2, 3, 1])


def _same(graph, given, shape, equation):
    return given[0]


_WRITERS: dict[str, Callable[..., Value]] = {
    "argmax": _argmax,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolve,
    "convert_element_type": _convert,
    "copy": _same,
    "dot_general": _multiply,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
    "integer_pow": _power,
    "is_finite": _is_finite,
    "ne": _differs,
    "pad": _pad,
    "reduce_and": _any,
    "reduce_or": _any,
    "rem": _remainder,
    "reshape": _reshape,
    "rev": _reverse,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "slice": _slice,
    "square": _square,
    "squeeze": _squeeze,
    "stop_gradient": _same,
    "transpose": _transpose,
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_RUNNING, _run_along),
}
