"""Take the transpositions out of an OpenVINO graph that Keras built.

Keras computes channels last and OpenVINO's convolutions channels first, so Keras' openvino backend puts
a transposition before and after every layer. They would take more than half of the prediction time.
Each is pushed towards the output, past every operation that does not care, until it meets its inverse.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset16

Permutation = tuple[int, ...]

UNARY = frozenset(
    {"Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Elu", "Gelu", "Swish", "HSwish", "Abs", "Negative"}
)
BINARY = frozenset(
    {"Add", "Subtract", "Multiply", "Divide", "Power", "Maximum", "Minimum", "SquaredDifference"}
)
REDUCE = frozenset({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"})


def sink_transpositions(model: ov.Model) -> None:
    """Remove the transpositions of `model`, in place; what it computes stays the same."""
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        if kind == "Convert" and operation.input_value(0).element_type == operation.output(0).element_type:
            _replace(operation, operation.input_value(0))
        elif kind == "Transpose":
            _merge(operation)
        elif kind in BINARY:
            _binary(operation)
        elif kind in RULES:
            source, order = _view(operation.input_value(0))
            if order is not None:
                RULES[kind](operation, source, order)
    model.validate_nodes_and_infer_types()


def _view(value: Any) -> tuple[Any, Permutation | None]:
    """(source, permutation) of a transposed value; (value, None) of any other, and of constants."""
    node = value.get_node()
    if node.get_type_name() != "Transpose" or node.input_value(0).get_node().get_type_name() == "Constant":
        return value, None
    order = node.input_value(1).get_node()
    if order.get_type_name() != "Constant":
        return value, None
    return node.input_value(0), tuple(int(axis) for axis in order.get_data())


def _replace(operation: Any, value: Any) -> None:
    for target in operation.output(0).get_target_inputs():
        target.replace_source_output(value)


def _transposed(value: Any, order: Permutation) -> Any:
    return opset16.transpose(value, np.array(order, np.int32)).output(0)


def _merge(outer: Any) -> None:
    """T(T(x, p), q) = T(x, p[q]), which is x when one undoes the other."""
    source, first = _view(outer.input_value(0))
    _, second = _view(outer.output(0))
    if first is None or second is None:
        return
    order = tuple(first[axis] for axis in second)
    _replace(outer, source if order == tuple(range(len(order))) else _transposed(source, order))


def _unary(operation: Any, source: Any, order: Permutation) -> None:
    """f(T(x)) = T(f(x))."""
    _push(operation, {0: source}, order)


def _batch_norm(operation: Any, source: Any, order: Permutation) -> None:
    """As unary, as long as the channels stay on axis 1."""
    if order[1] == 1:
        _push(operation, {0: source}, order)


def _prelu(operation: Any, source: Any, order: Permutation) -> None:
    """As unary, for one slope for all channels."""
    slope = operation.input_value(1).partial_shape
    if slope.is_static and np.prod(list(slope.to_shape()), dtype=int) == 1:
        _push(operation, {0: source}, order)


def _binary(operation: Any) -> None:
    """f(T(x), T(y)) = T(f(x, y)); the other operand is brought into the order of the first."""
    views = [_view(operation.input_value(i)) for i in range(2)]
    order = views[0][1] or views[1][1]
    if order is None:
        return
    sources = {}
    for i, (source, own) in enumerate(views):
        value = operation.input_value(i)
        if own != order:
            rank = value.get_partial_shape().rank.get_length()
            if rank < len(order):
                value = opset16.unsqueeze(value, np.arange(len(order) - rank)).output(0)
            source = _transposed(value, tuple(int(axis) for axis in np.argsort(order)))
        sources[i] = source
    _push(operation, sources, order)


def _reduce(operation: Any, source: Any, order: Permutation) -> None:
    """Reduce the same axes; they are kept with length 1."""
    if operation.get_attributes()["keep_dims"]:
        _along_axes(operation, source, order, 1)


def _slice(operation: Any, source: Any, order: Permutation) -> None:
    """Slice the same axes."""
    if operation.get_input_size() == 5:
        _along_axes(operation, source, order, 4)


def _along_axes(operation: Any, source: Any, order: Permutation, position: int) -> None:
    """The axes that the input at a position names, wherever they are in the source."""
    axes = operation.input_value(position).get_node()
    if axes.get_type_name() == "Constant":
        moved = np.array([order[axis] for axis in axes.get_data().ravel()], np.int32)
        _push(operation, {0: source, position: opset16.constant(moved).output(0)}, order)


def _concat(operation: Any, source: Any, order: Permutation) -> None:
    views = [_view(operation.input_value(i)) for i in range(operation.get_input_size())]
    if all(own == order for _, own in views):
        joined = opset16.concat([source for source, _ in views], order[operation.get_attributes()["axis"]])
        _replace(operation, _transposed(joined.output(0), order))


def _softmax(operation: Any, source: Any, order: Permutation) -> None:
    softmax = opset16.softmax(source, order[operation.get_attributes()["axis"]])
    _replace(operation, _transposed(softmax.output(0), order))


def _push(operation: Any, sources: dict[int, Any], order: Permutation) -> None:
    """Feed the operation with the sources and transpose its output instead."""
    targets = operation.output(0).get_target_inputs()
    for position, source in sources.items():
        operation.input(position).replace_source_output(source)
    operation.constructor_validate_and_infer_types()
    moved = _transposed(operation.output(0), order)
    for target in targets:
        target.replace_source_output(moved)


RULES: dict[str, Callable[[Any, Any, Permutation], None]] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(REDUCE, _reduce),
    "BatchNormInference": _batch_norm,
    "Concat": _concat,
    "PRelu": _prelu,
    "Slice": _slice,
    "Softmax": _softmax,
}
