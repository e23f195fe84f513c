"""What a config.pbtxt asks of the drop-in ONNX Runtime backend. Pure: no Triton, no onnxruntime here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The C++ backend's names, https://github.com/triton-inference-server/onnxruntime_backend
PARAMETERS = (
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
)
# Tokens that one run takes: 64 short queries. With more, what a layer hands to the next falls out of the caches, and
# memory grows with it: the bundled encoder did 7,460 tokens/s in runs of 512 (4 texts of 128), 6,970 in runs of 1,024,
# 5,820 in runs of 4,096 and 4,760 in runs of 8,192, medians of 5 on two cores.
RUN_ELEMENTS = 768
# Cells of the grid that attention makes of a run, times RUN_ELEMENTS: a text of 512 among 30 short ones would take a
# grid of 31 x 512, and attention its lengths' square.
WIDEST = 2
OPTIMIZATION = {0: "ORT_ENABLE_ALL", -1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
TYPES = {
    "TYPE_INT64",
    "TYPE_INT32",
    "TYPE_FP32",
    "TYPE_FP16",
    "TYPE_FP64",
    "TYPE_BOOL",
    "TYPE_UINT8",
    "TYPE_INT8",
}


@dataclass(frozen=True)
class Plan:
    """How one model is to be run."""

    inputs: tuple[str, ...]
    ranks: dict[str, int]  # of each input, batch dimension included
    ragged: frozenset[str]
    shapes: dict[str, tuple[str, type]]  # batch_input: graph input → (source input, dtype)
    outputs: tuple[str, ...]
    optimization: str
    intra_op_threads: int
    inter_op_threads: int
    execution_mode: int
    memory_arena: bool
    memory_pattern: bool


def plan(config: Mapping[str, Any], instance_kind: str) -> Plan:
    """Read a model's config.

    Raises:
        ValueError: it asks for something that the C++ backend has and this drop-in has not; the text names it.
    """
    try:
        return _plan(config, instance_kind)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the config is not one that Triton writes: {error!r}") from None


def _plan(config: Mapping[str, Any], instance_kind: str) -> Plan:
    for feature in (
        "sequence_batching",
        "model_transaction_policy",
        "model_operations",
        "batch_output",
        "model_warmup",
    ):
        if config.get(feature) and config[feature] != {"decoupled": False}:
            raise ValueError(f"{feature}: the drop-in onnxruntime backend has it not")
    if instance_kind not in ("CPU", "KIND_CPU", "AUTO", "KIND_AUTO"):
        raise ValueError(f"instance kind {instance_kind}: the drop-in onnxruntime backend runs on the CPU alone")
    if config["max_batch_size"] < 1:
        raise ValueError("max_batch_size 0: the drop-in onnxruntime backend only runs models that batch")
    for tensor in (*config["input"], *config["output"]):
        if tensor["data_type"] not in TYPES:
            raise ValueError(f"{tensor['name']}: {tensor['data_type']} is not among {', '.join(sorted(TYPES))}")
        for feature in ("is_shape_tensor", "optional", "reshape"):
            if tensor.get(feature):
                raise ValueError(f"{tensor['name']}: {feature}: the drop-in onnxruntime backend has it not")
    inputs = tuple(tensor["name"] for tensor in config["input"])
    shapes = dict(_batch_input(batch_input, inputs) for batch_input in config.get("batch_input", []))
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    for key in parameters:
        if key not in PARAMETERS:
            raise ValueError(f"parameter {key}: it must be one of {', '.join(PARAMETERS)}")
    optimization = config.get("optimization", {})
    if optimization.get("execution_accelerators"):
        raise ValueError("execution_accelerators: the drop-in onnxruntime backend has it not")
    level = int(optimization.get("graph", {}).get("level", 0))
    if level not in OPTIMIZATION:
        raise ValueError(f"optimization graph level {level}: it must be one of {', '.join(map(str, OPTIMIZATION))}")
    return Plan(
        inputs=inputs,
        ranks={tensor["name"]: len(tensor["dims"]) + 1 for tensor in config["input"]},
        ragged=frozenset(tensor["name"] for tensor in config["input"] if tensor.get("allow_ragged_batch")),
        shapes=shapes,
        outputs=tuple(tensor["name"] for tensor in config["output"]),
        optimization=OPTIMIZATION[level],
        intra_op_threads=_whole(parameters, "intra_op_thread_count", 0, None),
        inter_op_threads=_whole(parameters, "inter_op_thread_count", 0, None),
        execution_mode=_whole(parameters, "execution_mode", 0, 1),
        memory_arena=bool(_whole(parameters, "enable_mem_arena", 1, 1)),
        memory_pattern=bool(_whole(parameters, "enable_mem_pattern", 1, 1)),
    )


def _batch_input(value: Mapping[str, Any], inputs: Sequence[str]) -> tuple[str, tuple[str, type]]:
    if value["kind"] != "BATCH_ITEM_SHAPE":
        raise ValueError(f"batch_input kind {value['kind']}: only BATCH_ITEM_SHAPE is there")
    types = {"TYPE_INT32": np.int32, "TYPE_FP32": np.float32}
    if value["data_type"] not in types:
        raise ValueError(f"batch_input data_type {value['data_type']}: it must be TYPE_INT32 or TYPE_FP32")
    if len(value["target_name"]) != 1 or len(value["source_input"]) != 1:
        raise ValueError("batch_input BATCH_ITEM_SHAPE: it takes one target_name and one source_input")
    (target,), (source,) = value["target_name"], value["source_input"]
    if source not in inputs:
        raise ValueError(f"batch_input source_input {source}: there is no such input")
    return target, (source, types[value["data_type"]])


def _whole(parameters: Mapping[str, str], key: str, default: int, most: int | None) -> int:
    text = parameters.get(key, str(default))
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    if not (text.isascii() and text.isdigit()) or (most is not None and int(text) > most):
        bound = "from 0" if most is None else f"from 0 to {most}"
        raise ValueError(f"parameter {key} is {text!r}: it must be a whole number {bound}")
    return int(text)


def check_graph(plan: Plan, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Whether config and graph agree on names.

    Raises:
        ValueError: they do not.
    """
    wanted = {*plan.inputs, *plan.shapes}
    if wanted != set(inputs):
        raise ValueError(f"the config's inputs are {sorted(wanted)}, the graph's {sorted(inputs)}")
    missing = set(plan.outputs) - set(outputs)
    if missing:
        raise ValueError(f"output {sorted(missing)[0]}: the graph has {sorted(outputs)}")


def check_request(plan: Plan, tensors: Mapping[str, Array]) -> None:
    """Whether a request's inputs can be laid beside those of others.

    Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.

    Raises:
        ValueError: an input lacks its batch dimension; the text is a sentence for the caller.
    """
    for name, array in tensors.items():
        if array.ndim != plan.ranks[name]:
            shape = list(array.shape)
            raise ValueError(f"{name} has shape {shape}: it must have {plan.ranks[name]} dimensions, the batch first")


def split(plan: Plan, tensors: Sequence[Mapping[str, Array]]) -> list[list[int]]:
    """Which requests of a batch run together: of like length, at most RUN_ELEMENTS ragged elements in one run, and at
    most WIDEST times as many when each item is as long as the longest.

    A request is never cut; one that is larger alone runs alone. Without ragged inputs all run together.
    """
    if not plan.ragged:
        return [list(range(len(tensors)))] if tensors else []
    sizes = [sum(own[name].size for name in plan.ragged) for own in tensors]
    lengths = [max(own[name].shape[-1] for name in plan.ragged) for own in tensors]
    runs: list[list[int]] = []
    room = items = 0
    for i in sorted(range(len(tensors)), key=lengths.__getitem__):
        own = max(len(tensors[i][name]) for name in plan.ragged)
        if not runs or sizes[i] > room or (items + own) * lengths[i] > WIDEST * RUN_ELEMENTS:
            runs.append([])
            room, items = RUN_ELEMENTS, 0
        runs[-1].append(i)
        room, items = room - sizes[i], items + own
    return runs


def join(plan: Plan, tensors: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The graph's inputs for a batch of requests.

    Ragged inputs [b, ...] are laid end to end as rank 1; the others are concatenated along the batch. One request
    alone is passed on without a copy.
    """
    feed: dict[str, Array] = {}
    for name in plan.inputs:
        parts = [own[name].reshape(-1) if name in plan.ragged else own[name] for own in tensors]
        feed[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    for target, (source, dtype) in plan.shapes.items():
        items = [own[source].shape[1:] for own in tensors for _ in range(len(own[source]))]
        feed[target] = np.array(items, dtype=dtype)
    return feed
