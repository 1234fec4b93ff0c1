"""From an OpenVINO graph to an ONNX one, operation by operation.

Both describe the same arithmetic, and what OpenVINO holds was built from the network without a training
framework; so ONNX needs none either. Only what networks of this package consist of is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import BackendError

OPSET, IR_VERSION = 18, 9

SAME = {
    **{name: name for name in ("Abs", "Concat", "Elu", "Equal", "Exp", "Greater", "Less", "Log")},
    **{name: name for name in ("Add", "MatMul", "Relu", "Sigmoid", "Softmax", "Sqrt", "Tanh")},
    "GreaterEqual": "GreaterOrEqual", "LessEqual": "LessOrEqual", "LogicalAnd": "And",
    "LogicalNot": "Not", "LogicalOr": "Or", "Maximum": "Max", "Minimum": "Min", "Multiply": "Mul",
    "Negative": "Neg", "Power": "Pow", "Select": "Where", "SoftPlus": "Softplus", "Subtract": "Sub",
}  # fmt: skip
"""Operations with the same inputs in the same order, and their names there."""

REDUCE = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"}


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

    An operation that is not the same there is translated by the method `on_` with its name in small letters.
    """

    def __init__(self, onnx: Any) -> None:
        self._onnx, self._names = onnx, dict[Any, str]()
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operation: Any) -> None:
        kind = operation.get_type_name()
        if kind in SAME:
            axis = {"axis": operation.get_attributes()["axis"]} if kind in ("Concat", "Softmax") else {}
            self._emit(operation, SAME[kind], self._inputs(operation), **axis)
        elif kind in REDUCE:
            data, axes = self._inputs(operation)
            keep = int(operation.get_attributes()["keep_dims"])
            self._emit(operation, kind, [data, self._int64(axes)], keepdims=keep)
        elif (rule := getattr(self, f"on_{kind.lower()}", None)) is not None:
            rule(operation)
        else:
            raise _unknown(operation)

    def _type(self, port: Any) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.get_element_type().to_dtype())))

    def _name(self, value: Any) -> str:
        key = (value.get_node().get_name(), value.get_index())
        return self._names.setdefault(key, f"v{len(self._names)}")

    def _inputs(self, operation: Any) -> list[str]:
        return [self._name(operation.input_value(i)) for i in range(operation.get_input_size())]

    def _emit(self, operation: Any, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        outputs = [self._name(operation.output(i)) for i in range(operation.get_output_size())]
        self.node(kind, inputs, outputs, **attributes)

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        made = self._onnx.helper.make_node(
            kind, inputs, outputs, name=f"{kind}_{len(self.nodes)}", **attributes
        )
        self.nodes.append(made)

    def constant(self, values: np.ndarray, name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def used_constants(self) -> list[Any]:
        used = {name for node in self.nodes for name in node.input}
        return [constant for constant in self.constants if constant.name in used]

    def _int64(self, value: str) -> str:
        """`value` as 64-bit integers, one axis at least: how ONNX wants shapes and axes."""
        name = f"i{len(self.nodes)}"
        self.node("Cast", [value], [f"{name}_cast"], to=self._onnx.TensorProto.INT64)
        self.node("Reshape", [f"{name}_cast", self.constant(np.array([-1], np.int64))], [name])
        return name

    def on_divide(self, operation: Any) -> None:
        """Whole numbers are divided as Python does, downwards, where ONNX cuts what is behind the point."""
        if operation.output(0).get_element_type().is_real():
            self._emit(operation, "Div", self._inputs(operation))
            return
        name = self._name(operation.output(0))
        reals: list[str] = []
        for value in self._inputs(operation):
            reals.append(f"{name}_real{len(reals)}")
            self.node("Cast", [value], [reals[-1]], to=self._onnx.TensorProto.DOUBLE)
        self.node("Div", reals, [f"{name}_quotient"])
        self.node("Floor", [f"{name}_quotient"], [f"{name}_floor"])
        self._emit(operation, "Cast", [f"{name}_floor"], to=self._type(operation.output(0)))

    def on_floor(self, operation: Any) -> None:
        real = operation.output(0).get_element_type().is_real()
        self._emit(operation, "Floor" if real else "Identity", self._inputs(operation))

    def on_parameter(self, operation: Any) -> None:
        shape = [None if side.is_dynamic else side.get_length() for side in operation.get_partial_shape()]
        name = operation.output(0).get_any_name()
        self._names[operation.get_name(), 0] = name
        self.inputs.append(self._value(name, operation.output(0), shape))

    def _value(self, name: str, port: Any, shape: Sequence[int | None]) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self._type(port), shape)

    def on_result(self, operation: Any) -> None:
        port = operation.output(0)
        name = next(iter(sorted(operation.input_value(0).get_names() | port.get_names())))
        shape = [None if side.is_dynamic else side.get_length() for side in port.get_partial_shape()]
        self.node("Identity", self._inputs(operation), [name])
        self.outputs.append(self._value(name, port, shape))

    def on_constant(self, operation: Any) -> None:
        self.constant(operation.get_data(), self._name(operation.output(0)))

    def on_convolution(self, operation: Any) -> None:
        facts = operation.get_attributes()
        data, kernel = self._inputs(operation)[:2]
        sides = [side.get_length() for side in operation.input_value(1).get_partial_shape()]
        grouped = operation.get_type_name() == "GroupConvolution"
        groups = sides[0] if grouped else 1
        if grouped:
            sides = [sides[0] * sides[1], *sides[2:]]
            folded = f"{kernel}_folded"
            self.node("Reshape", [kernel, self.constant(np.array(sides, np.int64))], [folded])
            kernel = folded
        steps, strides = facts["dilations"], facts["strides"]
        options: dict[str, Any] = {"dilations": steps, "strides": strides, "kernel_shape": sides[2:]}
        if facts["auto_pad"] == "same_upper" and max(strides) > 1:
            options["auto_pad"] = "SAME_UPPER"
        elif facts["auto_pad"] == "same_upper":
            lost = [step * (side - 1) for step, side in zip(steps, sides[2:], strict=True)]
            options["pads"] = [n // 2 for n in lost] + [n - n // 2 for n in lost]
        else:
            options["pads"] = [*facts["pads_begin"], *facts["pads_end"]]
        self._emit(operation, "Conv", [data, kernel], group=groups, **options)

    on_groupconvolution = on_convolution

    def on_convolutionbackpropdata(self, operation: Any) -> None:
        """Where the kernel is as large as the stride there is but one shape that the output can have."""
        facts = operation.get_attributes()
        kernel = [side.get_length() for side in operation.input_value(1).get_partial_shape()][2:]
        if operation.get_input_size() > 2 and kernel != list(facts["strides"]):
            raise _unknown(operation)
        self._emit(
            operation, "ConvTranspose", self._inputs(operation)[:2],
            strides=facts["strides"], dilations=facts["dilations"], output_padding=facts["output_padding"],
            pads=[*facts["pads_begin"], *facts["pads_end"]],
        )  # fmt: skip

    def on_maxpool(self, operation: Any) -> None:
        facts = operation.get_attributes()
        if facts["auto_pad"] == "same_upper":
            pads: dict[str, Any] = {"auto_pad": "SAME_UPPER"}
        else:
            pads = {"pads": [*facts["pads_begin"], *facts["pads_end"]]}
        ceil = int(facts["rounding_type"] == "ceil")
        outputs = [self._name(operation.output(0))]
        self.node(
            "MaxPool", self._inputs(operation), outputs,
            kernel_shape=facts["kernel"], strides=facts["strides"], ceil_mode=ceil, **pads,
        )  # fmt: skip

    def on_batchnorminference(self, operation: Any) -> None:
        epsilon = float(operation.get_attributes()["epsilon"])
        self._emit(operation, "BatchNormalization", self._inputs(operation), epsilon=epsilon)

    def on_convert(self, operation: Any) -> None:
        self._emit(operation, "Cast", self._inputs(operation), to=self._type(operation.output(0)))

    def on_shapeof(self, operation: Any) -> None:
        whole = f"{self._name(operation.output(0))}_int64"
        self.node("Shape", self._inputs(operation), [whole])
        self._emit(operation, "Cast", [whole], to=self._type(operation.output(0)))

    def on_range(self, operation: Any) -> None:
        kind = self._type(operation.output(0))
        names: list[str] = []
        for name in self._inputs(operation):
            names.append(f"{self._name(operation.output(0))}_{len(names)}")
            self.node("Cast", [name], [names[-1]], to=kind)
        self._emit(operation, "Range", names)

    def on_gather(self, operation: Any) -> None:
        data, indices, _ = self._inputs(operation)
        if operation.get_attributes()["batch_dims"]:
            raise _unknown(operation)
        self._emit(operation, "Gather", [data, indices], axis=int(_constant(operation, 2)))

    def on_reshape(self, operation: Any) -> None:
        """What takes its shape, axes or repeats as a second input."""
        kind = operation.get_type_name()
        if (
            operation.get_attributes().get("special_zero")
            or operation.get_attributes().get("mode", "numpy") != "numpy"
        ):
            raise _unknown(operation)
        data, *rest = self._inputs(operation)
        target = {"Broadcast": "Expand"}.get(kind, kind)
        self._emit(operation, target, [data, *map(self._int64, rest)])

    on_broadcast = on_squeeze = on_tile = on_unsqueeze = on_reshape

    def on_transpose(self, operation: Any) -> None:
        order = [int(axis) for axis in np.ravel(_constant(operation, 1))]
        self._emit(operation, "Transpose", self._inputs(operation)[:1], perm=order)

    def on_slice(self, operation: Any) -> None:
        data, start, stop, step, axes = (*self._inputs(operation), "")[:5]
        names = [self._int64(x) if x else "" for x in (start, stop, axes, step)]
        self._emit(operation, "Slice", [data, *names])

    def on_split(self, operation: Any) -> None:
        parts = operation.get_attributes()["num_splits"]
        axis = int(_constant(operation, 1))
        self._emit(operation, "Split", self._inputs(operation)[:1], axis=axis, num_outputs=parts)

    def on_clamp(self, operation: Any) -> None:
        facts = operation.get_attributes()
        ends = [self.constant(np.array(facts[name], np.float32)) for name in ("min", "max")]
        self._emit(operation, "Clip", [*self._inputs(operation), *ends])

    def on_prelu(self, operation: Any) -> None:
        slope = operation.input_value(1).get_partial_shape()
        if slope.is_dynamic or np.prod(list(slope.to_shape()), dtype=int) != 1:
            raise _unknown(operation)
        data, name = self._inputs(operation)
        one = f"{name}_of_{self._name(operation.output(0))}"
        self.node("Reshape", [name, self.constant(np.array([1], np.int64))], [one])
        self._emit(operation, "PRelu", [data, one])

    def on_swish(self, operation: Any) -> None:
        data = self._inputs(operation)[0]
        gate = f"{self._name(operation.output(0))}_gate"
        self.node("Sigmoid", [data], [gate])
        self._emit(operation, "Mul", [data, gate])

    def on_round(self, operation: Any) -> None:
        if operation.get_attributes()["mode"] != "half_to_even":
            raise _unknown(operation)
        self._emit(operation, "Round", self._inputs(operation))

    def on_topk(self, operation: Any) -> None:
        facts = operation.get_attributes()
        data, count = self._inputs(operation)[:2]
        plain = [f"{self._name(operation.output(i))}_int64" for i in range(2)]
        self.node(
            "TopK", [data, self._int64(count)], plain, axis=facts["axis"], largest=int(facts["mode"] == "max")
        )
        self.node("Identity", plain[:1], [self._name(operation.output(0))])
        kind = self._type(operation.output(1))
        self.node("Cast", plain[1:], [self._name(operation.output(1))], to=kind)

    def on_interpolate(self, operation: Any) -> None:
        facts = operation.get_attributes()
        ways = ("linear", "linear_onnx", "nearest")
        padded = any(facts["pads_begin"]) or any(facts["pads_end"]) or facts["antialias"]
        if facts["shape_calculation_mode"] != "sizes" or facts["mode"] not in ways or padded:
            raise _unknown(operation)
        data, sizes = self._inputs(operation)[:2]
        sizes = self._int64(sizes)
        if operation.get_input_size() > 2:  # of some axes only; ONNX Runtime is sure of it for all of them
            axes = self.constant(np.array(_constant(operation, 2), np.int64).ravel())
            self.node("Shape", [data], [f"{sizes}_before"])
            self.node("ScatterElements", [f"{sizes}_before", axes, sizes], [f"{sizes}_all"], axis=0)
            sizes = f"{sizes}_all"
        self._emit(
            operation,
            "Resize",
            [data, "", "", sizes],
            mode=facts["mode"].removesuffix("_onnx"),
            nearest_mode=facts["nearest_mode"],
            coordinate_transformation_mode=facts["coordinate_transformation_mode"],
        )


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
