"""Reading a model's config.pbtxt for the drop-in ONNX Runtime backend."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# The C++ backend's names, https://github.com/triton-inference-server/onnxruntime_backend
PARAMETERS = (
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
    "memory.enable_memory_arena_shrinkage",
    "max_ragged_elements",  # of this backend alone: the C++ backend reads the parameters that it knows
)
SHRINKAGE = "cpu:0"  # the arena of the only device that there is
OPTIMIZATION = {0: "ORT_ENABLE_ALL", -1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
# Triton's types, and ONNX Runtime's names of them
TYPES = {
    "TYPE_INT64": "tensor(int64)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP64": "tensor(double)",
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_INT8": "tensor(int8)",
}
BATCH_TYPES: dict[str, type] = {"TYPE_INT32": np.int32, "TYPE_FP32": np.float32}


@dataclass(frozen=True)
class Value:
    """An input or output of a graph: ONNX Runtime's name of its type, and its dims, -1 where it names no number."""

    kind: str
    dims: tuple[int, ...]

    @classmethod
    def of(cls, kind: str, shape: Sequence[object]) -> Value:
        """From what an onnxruntime session says of it."""
        return cls(kind, tuple(size if isinstance(size, int) else -1 for size in shape))

    @property
    def triton(self) -> str:
        """Triton's name of the type."""
        return next((name for name, kind in TYPES.items() if kind == self.kind), self.kind)


@dataclass(frozen=True)
class Plan:
    """Settings of one model, read from its config."""

    name: str
    instances: int
    inputs: dict[str, Value]  # without the batch dimension
    ragged: frozenset[str]
    shapes: dict[str, tuple[str, str]]  # batch_input: graph input → (source input, Triton's type)
    outputs: dict[str, Value]  # without the batch dimension
    optimization: str
    intra_op_threads: int
    inter_op_threads: int
    execution_mode: int
    memory_arena: bool
    memory_pattern: bool
    shrink_arena: bool
    max_ragged_elements: int | None


def plan(config: Mapping[str, Any], instance_kind: str) -> Plan:
    """Read a model's config.

    Raises:
        ValueError: it is malformed, or asks for something that this backend does not support; the text names it.
    """
    try:
        return _plan(config, instance_kind)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the config is not one that Triton writes: {error!r}") from None


def _plan(config: Mapping[str, Any], instance_kind: str) -> Plan:
    """`plan`, for a config whose fields are of the right types."""
    for feature in (
        "sequence_batching",
        "model_transaction_policy",
        "model_operations",
        "batch_output",
        "model_warmup",
    ):
        if config.get(feature) and config[feature] != {"decoupled": False}:
            raise ValueError(f"{feature}: the drop-in onnxruntime backend does not support it")
    if instance_kind not in ("CPU", "KIND_CPU", "AUTO", "KIND_AUTO"):
        raise ValueError(f"instance kind {instance_kind}: the drop-in onnxruntime backend runs on the CPU alone")
    if config["max_batch_size"] < 1:
        raise ValueError("max_batch_size 0: the drop-in onnxruntime backend only runs models that batch")
    for tensor in (*config["input"], *config["output"]):
        if tensor["data_type"] not in TYPES:
            raise ValueError(f"{tensor['name']}: {tensor['data_type']} is not among {', '.join(sorted(TYPES))}")
        for feature in ("is_shape_tensor", "optional", "reshape"):
            if tensor.get(feature):
                raise ValueError(f"{tensor['name']}: {feature}: the drop-in onnxruntime backend does not support it")
    inputs, outputs = (
        {tensor["name"]: Value(TYPES[tensor["data_type"]], tuple(map(int, tensor["dims"]))) for tensor in config[part]}
        for part in ("input", "output")
    )
    shapes = dict(_batch_input(batch_input, inputs) for batch_input in config.get("batch_input", []))
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    for key in parameters:
        if key not in PARAMETERS:
            raise ValueError(f"parameter {key}: it must be one of {', '.join(PARAMETERS)}")
    optimization = config.get("optimization", {})
    if optimization.get("execution_accelerators"):
        raise ValueError("execution_accelerators: the drop-in onnxruntime backend does not support it")
    level = int(optimization.get("graph", {}).get("level", 0))
    if level not in OPTIMIZATION:
        raise ValueError(f"optimization graph level {level}: it must be one of {', '.join(map(str, OPTIMIZATION))}")
    memory_arena = bool(_integer(parameters, "enable_mem_arena", 1, 1))
    instances = sum(int(group.get("count", 1)) for group in config.get("instance_group", []))
    return Plan(
        name=config["name"],
        instances=instances,
        inputs=inputs,
        ragged=frozenset(tensor["name"] for tensor in config["input"] if tensor.get("allow_ragged_batch")),
        shapes=shapes,
        outputs=outputs,
        optimization=OPTIMIZATION[level],
        intra_op_threads=_integer(parameters, "intra_op_thread_count", _threads(instances), None),
        inter_op_threads=_integer(parameters, "inter_op_thread_count", 0, None),
        execution_mode=_integer(parameters, "execution_mode", 0, 1),
        memory_arena=memory_arena,
        memory_pattern=bool(_integer(parameters, "enable_mem_pattern", 1, 1)),
        shrink_arena=_shrinks(parameters, memory_arena),
        max_ragged_elements=_integer(parameters, "max_ragged_elements", 0, None) or None,
    )


def _threads(instances: int) -> int:
    """Threads of an instance where the config does not say: the cores, shared out among the instances."""
    return max(len(os.sched_getaffinity(0)) // max(instances, 1), 1)


def _batch_input(value: Mapping[str, Any], inputs: Collection[str]) -> tuple[str, tuple[str, str]]:
    if value["kind"] != "BATCH_ITEM_SHAPE":
        raise ValueError(f"batch_input kind {value['kind']}: only BATCH_ITEM_SHAPE is supported")
    if value["data_type"] not in BATCH_TYPES:
        raise ValueError(f"batch_input data_type {value['data_type']}: it must be {' or '.join(BATCH_TYPES)}")
    if len(value["target_name"]) != 1 or len(value["source_input"]) != 1:
        raise ValueError("batch_input BATCH_ITEM_SHAPE: it takes one target_name and one source_input")
    (target,), (source,) = value["target_name"], value["source_input"]
    if source not in inputs:
        raise ValueError(f"batch_input source_input {source}: there is no such input")
    return target, (source, value["data_type"])


def _shrinks(parameters: Mapping[str, str], memory_arena: bool) -> bool:
    key = "memory.enable_memory_arena_shrinkage"
    if key not in parameters:
        return False
    if parameters[key] != SHRINKAGE:
        raise ValueError(f"parameter {key} is {parameters[key]!r}: it must be {SHRINKAGE}")
    if not memory_arena:
        raise ValueError(f"parameter {key}: without enable_mem_arena there is no arena")
    return True


def _integer(parameters: Mapping[str, str], key: str, default: int, most: int | None) -> int:
    """An integer parameter from 0 to `most`; true and false are 1 and 0."""
    text = parameters.get(key, str(default))
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    if not (text.isascii() and text.isdigit()) or (most is not None and int(text) > most):
        bound = "from 0" if most is None else f"from 0 to {most}"
        raise ValueError(f"parameter {key} is {text!r}: it must be a whole number {bound}")
    return int(text)
