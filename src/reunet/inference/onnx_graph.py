"""From an OpenVINO graph to an ONNX one, operation by operation.

Both describe the same arithmetic, and what OpenVINO holds was built from the network without a training
framework; so ONNX needs none either. Only what networks of this package consist of is known here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import BackendError

OPSET, IR_VERSION = 17, 8
"""What ONNX Runtime 1.12 of 2022 reads already, and with it deepImageJ."""

SAME = {
    **{name: name for name in ("Abs", "Concat", "Elu", "Equal", "Exp", "Greater", "Less", "Log")},
    **{name: name for name in ("Add", "MatMul", "Relu", "Sigmoid", "Softmax", "Sqrt", "Tanh")},
    "GreaterEqual": "GreaterOrEqual", "LessEqual": "LessOrEqual", "LogicalAnd": "And",
    "LogicalNot": "Not", "LogicalOr": "Or", "Maximum": "Max", "Minimum": "Min", "Multiply": "Mul",
    "Negative": "Neg", "Power": "Pow", "Select": "Where", "SoftPlus": "Softplus", "Subtract": "Sub",
}  # fmt: skip
"""Operations with the same inputs in the same order, and their names there."""


def onnx_model(graph: Any) -> Any:
    """`graph`, an `openvino.Model`, as an `onnx.ModelProto`; inputs and outputs keep their names.

    Raises BackendError for an operation that is not known here, and where onnx is not installed.
    """
    onnx = import_extra("onnx", "onnx")
    from openvino.passes import ConstantFolding, Manager

    graph = graph.clone()
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(graph)
    translation = _Translation(onnx)
    for operation in graph.get_ordered_ops():
        translation.add(operation)
    helper = onnx.helper
    made = helper.make_graph(
        translation.nodes, graph.get_friendly_name(), translation.inputs, translation.outputs,
        translation.used_constants(),
    )  # fmt: skip
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="reunet"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Translation:
    """The parts of an ONNX graph, and under which name each value of the other graph is found in it.

    An operation that is not the same there is translated by the method `on_` with its name in small letters,
    which gets the names of its inputs too.
    """

    def __init__(self, onnx: Any) -> None:
        self._onnx, self._names = onnx, dict[Any, str]()
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operation: Any) -> None:
        kind = operation.get_type_name()
        inputs = [self._name(operation.input_value(i)) for i in range(operation.get_input_size())]
        if kind in SAME:
            axis = {"axis": operation.get_attributes()["axis"]} if kind in ("Concat", "Softmax") else {}
            self._emit(operation, SAME[kind], *inputs, **axis)
        elif (rule := getattr(self, f"on_{kind.lower()}", None)) is not None:
            rule(operation, *inputs)
        else:
            raise _unknown(operation)

    def _type(self, port: Any) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.get_element_type().to_dtype())))

    def _name(self, value: Any) -> str:
        key = (value.get_node().get_name(), value.get_index())
        return self._names.setdefault(key, f"v{len(self._names)}")

    def _emit(self, operation: Any, kind: str, *inputs: str, **attributes: Any) -> None:
        outputs = [self._name(operation.output(i)) for i in range(operation.get_output_size())]
        self.node(kind, inputs, outputs, **attributes)

    def _step(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node that the other graph does not have: the name of what it gives."""
        name = f"s{len(self.nodes)}"
        self.node(kind, inputs, [name], **attributes)
        return name

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        made = self._onnx.helper.make_node(
            kind, inputs, outputs, name=f"{kind}_{len(self.nodes)}", **attributes
        )
        self.nodes.append(made)

    def constant(self, values: Any, name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def used_constants(self) -> list[Any]:
        used = {name for node in self.nodes for name in node.input}
        return [constant for constant in self.constants if constant.name in used]

    def _int64(self, value: str) -> str:
        """`value` as 64-bit integers, one axis at least: how ONNX wants shapes and axes."""
        whole = self._step("Cast", value, to=self._onnx.TensorProto.INT64)
        return self._reshaped(whole, [-1])

    def _reshaped(self, value: str, shape: Sequence[int]) -> str:
        return self._step("Reshape", value, self.constant(np.array(shape, np.int64)))

    def _cast(self, port: Any, value: str) -> None:
        """`value` is what the port gives, but for its type."""
        self.node("Cast", [value], [self._name(port)], to=self._type(port))

    def on_divide(self, operation: Any, *inputs: str) -> None:
        """Whole numbers are divided as Python does, downwards, where ONNX cuts what is behind the point."""
        if operation.output(0).get_element_type().is_real():
            self._emit(operation, "Div", *inputs)
            return
        reals = [self._step("Cast", value, to=self._onnx.TensorProto.DOUBLE) for value in inputs]
        self._cast(operation.output(0), self._step("Floor", self._step("Div", *reals)))

    def on_floor(self, operation: Any, data: str) -> None:
        real = operation.output(0).get_element_type().is_real()
        self._emit(operation, "Floor" if real else "Identity", data)

    def on_parameter(self, operation: Any) -> None:
        port = operation.output(0)
        name = self._names[operation.get_name(), 0] = port.get_any_name()
        self.inputs.append(self._value(name, port))

    def _value(self, name: str, port: Any) -> Any:
        shape = [None if side.is_dynamic else side.get_length() for side in port.get_partial_shape()]
        return self._onnx.helper.make_tensor_value_info(name, self._type(port), shape)

    def on_result(self, operation: Any, data: str) -> None:
        port = operation.output(0)
        name = min(operation.input_value(0).get_names() | port.get_names())
        self.node("Identity", [data], [name])
        self.outputs.append(self._value(name, port))

    def on_constant(self, operation: Any) -> None:
        self.constant(operation.get_data(), self._name(operation.output(0)))

    def on_convolution(self, operation: Any, data: str, kernel: str) -> None:
        facts, groups = operation.get_attributes(), 1
        sides = list(operation.input_value(1).get_shape())
        if operation.get_type_name() == "GroupConvolution":
            groups, sides = sides[0], [sides[0] * sides[1], *sides[2:]]
            kernel = self._reshaped(kernel, sides)
        padding = _padding(facts)
        if facts["auto_pad"] == "same_upper" and max(facts["strides"]) == 1:
            lost = [step * (side - 1) for step, side in zip(facts["dilations"], sides[2:], strict=True)]
            padding = {"pads": [n // 2 for n in lost] + [n - n // 2 for n in lost]}
        self._emit(
            operation, "Conv", data, kernel, group=groups, dilations=facts["dilations"],
            strides=facts["strides"], kernel_shape=sides[2:], **padding,
        )  # fmt: skip

    on_groupconvolution = on_convolution

    def on_convolutionbackpropdata(self, operation: Any, data: str, kernel: str, *shape: str) -> None:
        """Where the kernel is as large as the stride there is but one shape that the output can have."""
        facts = operation.get_attributes()
        if shape and list(operation.input_value(1).get_shape())[2:] != list(facts["strides"]):
            raise _unknown(operation)
        self._emit(
            operation, "ConvTranspose", data, kernel,
            strides=facts["strides"], dilations=facts["dilations"], output_padding=facts["output_padding"],
            pads=[*facts["pads_begin"], *facts["pads_end"]],
        )  # fmt: skip

    def on_maxpool(self, operation: Any, data: str) -> None:
        facts = operation.get_attributes()
        self.node(
            "MaxPool", [data], [self._name(operation.output(0))], kernel_shape=facts["kernel"],
            strides=facts["strides"], ceil_mode=int(facts["rounding_type"] == "ceil"), **_padding(facts),
        )  # fmt: skip

    def on_batchnorminference(self, operation: Any, *inputs: str) -> None:
        epsilon = float(operation.get_attributes()["epsilon"])
        self._emit(operation, "BatchNormalization", *inputs, epsilon=epsilon)

    def on_convert(self, operation: Any, data: str) -> None:
        self._cast(operation.output(0), data)

    def on_shapeof(self, operation: Any, data: str) -> None:
        self._cast(operation.output(0), self._step("Shape", data))

    def on_range(self, operation: Any, *inputs: str) -> None:
        kind = self._type(operation.output(0))
        self._emit(operation, "Range", *(self._step("Cast", name, to=kind) for name in inputs))

    def on_gather(self, operation: Any, data: str, indices: str, axis: str) -> None:
        if operation.get_attributes()["batch_dims"]:
            raise _unknown(operation)
        self._emit(operation, "Gather", data, indices, axis=int(_constant(operation, 2)))

    def on_reducemean(self, operation: Any, data: str, axes: str) -> None:
        """Up to version 17 sums take their axes as an input, the others as an attribute."""
        kind, keep = operation.get_type_name(), int(operation.get_attributes()["keep_dims"])
        if kind == "ReduceSum":
            self._emit(operation, kind, data, self._int64(axes), keepdims=keep)
            return
        numbers = [int(axis) for axis in np.ravel(_constant(operation, 1))]
        self._emit(operation, kind, data, axes=numbers, keepdims=keep)

    on_reducesum = on_reducemax = on_reducemin = on_reducemean

    def on_reshape(self, operation: Any, data: str, *rest: str) -> None:
        """What takes its shape, axes or repeats as a second input."""
        kind, facts = operation.get_type_name(), operation.get_attributes()
        if facts.get("special_zero") or facts.get("mode", "numpy") != "numpy":
            raise _unknown(operation)
        self._emit(operation, "Expand" if kind == "Broadcast" else kind, data, *map(self._int64, rest))

    on_broadcast = on_squeeze = on_tile = on_unsqueeze = on_reshape

    def on_transpose(self, operation: Any, data: str, order: str) -> None:
        axes = [int(axis) for axis in np.ravel(_constant(operation, 1))]
        self._emit(operation, "Transpose", data, perm=axes)

    def on_slice(self, operation: Any, data: str, start: str, stop: str, step: str, axes: str = "") -> None:
        names = [self._int64(x) if x else "" for x in (start, stop, axes, step)]
        self._emit(operation, "Slice", data, *names)

    def on_split(self, operation: Any, data: str, axis: str) -> None:
        self._emit(operation, "Split", data, axis=int(_constant(operation, 1)))

    def on_clamp(self, operation: Any, data: str) -> None:
        facts = operation.get_attributes()
        ends = [self.constant(np.array(facts[name], np.float32)) for name in ("min", "max")]
        self._emit(operation, "Clip", data, *ends)

    def on_prelu(self, operation: Any, data: str, slope: str) -> None:
        shape = operation.input_value(1).get_partial_shape()
        if shape.is_dynamic or np.prod(list(shape.to_shape()), dtype=int) != 1:
            raise _unknown(operation)
        self._emit(operation, "PRelu", data, self._reshaped(slope, [1]))

    def on_swish(self, operation: Any, data: str) -> None:
        self._emit(operation, "Mul", data, self._step("Sigmoid", data))

    def on_round(self, operation: Any, data: str) -> None:
        if operation.get_attributes()["mode"] != "half_to_even":
            raise _unknown(operation)
        self._emit(operation, "Round", data)

    def on_topk(self, operation: Any, data: str, count: str) -> None:
        facts, places = operation.get_attributes(), f"{self._name(operation.output(1))}_int64"
        self.node(
            "TopK", [data, self._int64(count)], [self._name(operation.output(0)), places],
            axis=facts["axis"], largest=int(facts["mode"] == "max"),
        )  # fmt: skip
        self._cast(operation.output(1), places)

    def on_interpolate(self, operation: Any, data: str, lengths: str, *axes: str) -> None:
        facts = operation.get_attributes()
        ways = ("linear", "linear_onnx", "nearest")
        padded = any(facts["pads_begin"]) or any(facts["pads_end"]) or facts["antialias"]
        if facts["shape_calculation_mode"] != "sizes" or facts["mode"] not in ways or padded:
            raise _unknown(operation)
        sizes = self._int64(lengths)
        if axes:  # of some axes only; ONNX Runtime is sure of it for all of them
            numbers = self.constant(np.array(_constant(operation, 2), np.int64).ravel())
            sizes = self._step("ScatterElements", self._step("Shape", data), numbers, sizes, axis=0)
        self._emit(
            operation,
            "Resize",
            data,
            "",
            "",
            sizes,
            mode=facts["mode"].removesuffix("_onnx"),
            nearest_mode=facts["nearest_mode"],
            coordinate_transformation_mode=facts["coordinate_transformation_mode"],
        )


def _padding(facts: dict[str, Any]) -> dict[str, Any]:
    if facts["auto_pad"] == "same_upper":
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [*facts["pads_begin"], *facts["pads_end"]]}


def _constant(operation: Any, position: int) -> Any:
    node = operation.input_value(position).get_node()
    if node.get_type_name() != "Constant":
        raise _unknown(operation)
    return node.get_data()


def _unknown(operation: Any) -> BackendError:
    return BackendError(
        "the network has an operation that the export to ONNX does not know",
        where=operation.get_friendly_name(),
        received=f"{operation.get_type_name()} {operation.get_attributes()}",
        fix="use --format openvino, and report this with the output of `reunet doctor`",
    )
