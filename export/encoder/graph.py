"""A small builder of ONNX graphs: nodes by operator, shared constants, and loops whose body shares the weights."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # with IR 8, loads in every Triton from 24.10 on
IR_VERSION = 8
DATA_FILE = "model.onnx.data"  # beside a model.onnx whose weights do not fit: a protobuf holds 2 GiB
_INLINE = 1024  # bytes; smaller values stay in the model, where onnxruntime looks for constants
Array = npt.NDArray[Any]


class Graph:
    """Nodes and weights in the order they were added; values are known by name.

    A child of a graph is the body of a loop: it has nodes of its own, and shares the weights and constants.
    """

    def __init__(self, parent: Graph | None = None, data: BinaryIO | None = None) -> None:
        """An empty graph, or the body of a loop in `parent`; `data` takes the weights, if they go to a file."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = parent.weights if parent else []
        self._data: BinaryIO | None = parent._data if parent else data
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = parent._constants if parent else {}
        self._number: itertools.count[int] = parent._number if parent else itertools.count()

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; its output's name, or a list of names where there are several."""
        number = next(self._number)
        names = [f"{kind}_{number}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, name: str, array: Array) -> str:
        """Add a weight under its own name."""
        if self._data is not None and array.nbytes >= _INLINE:
            self.weights.append(_written(self._data, name, array))
        else:
            self.weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.int64) -> str:
        """A small constant, shared among all who ask for the same."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.weight(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def as_body(self, iteration: str, condition: str, carried: dict[str, onnx.TypeProto], *outputs: str) -> Any:
        """This graph as the body of a `Loop`.

        Args:
            iteration: the name of the iteration's number.
            condition: the name of the condition that holds when the body begins.
            carried: the type of each value that the loop carries, by its name in the body.
            outputs: the condition of a further iteration, then the next value of each of `carried`.
        """
        number = helper.make_tensor_type_proto(TensorProto.INT64, [])
        truth = helper.make_tensor_type_proto(TensorProto.BOOL, [])
        inputs = {iteration: number, condition: truth, **carried}
        return helper.make_graph(
            self.nodes,
            "group",
            [helper.make_value_info(name, kind) for name, kind in inputs.items()],
            [helper.make_value_info(n, t) for n, t in zip(outputs, (truth, *carried.values()), strict=True)],
        )

    def model(self, embedding: str, opset: int = OPSET) -> onnx.ModelProto:
        """The finished model, with `embedding` [B, D] as its only output.

        The graph declares no D. Triton's ONNX Runtime backend compares the dimensions of an output with the config's,
        which are the same for every encoder (-1); and ONNX Runtime (from 1.24 on) would find D again by following the
        operators, were it not for a last Reshape whose width is known at run time alone.
        """
        rows = self.op("Gather", self.op("Shape", "lengths"), self.constant([0]))
        shape = self.op("Concat", rows, self.constant([-1]), axis=0)
        self.nodes.append(helper.make_node("Reshape", [embedding, shape], ["embedding"]))
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["tokens"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch", 1]),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", "width"])],
            self.weights,
        )
        return helper.make_model(
            graph,
            producer_name="malgil",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", opset)],
        )


def model_bytes(model: Path) -> int:
    """Size of a model.onnx with its data file, if it has one."""
    return sum(file.stat().st_size for file in (model, model.with_name(DATA_FILE)) if file.exists())


def _written(data: BinaryIO, name: str, array: Array) -> onnx.TensorProto:
    """A weight whose numbers are written to the data file."""
    data.write(bytes(-data.tell() % 4096))  # at a page's beginning, so that it can be mapped
    tensor = TensorProto(
        name=name,
        dims=array.shape,
        data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", DATA_FILE), ("offset", data.tell()), ("length", array.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    data.write(np.ascontiguousarray(array).data)
    return tensor
