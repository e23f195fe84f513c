"""Checking that a graph is one that the C++ ONNX Runtime backend would load beside a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config import TYPES, Plan, Value

EXPORT_AGAIN = "An encoder of an earlier version must be exported again: `python -m export encoder`."


def check_graph(plan: Plan, inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> None:
    """Refuse a graph that the C++ backend refuses beside this config, in its words.

    The dims of inputs must be the config's where the graph has numbers, those of outputs exactly. Beyond it, the
    targets of batch_input are compared, which the C++ backend finds wrong at the first request.

    Raises:
        ValueError: config and graph do not agree.
    """
    unable = f"unable to load model '{plan.name}', configuration expects"
    expected = len(plan.inputs) + len(plan.shapes)
    if len(inputs) != expected:
        raise ValueError(f"{unable} {expected} inputs, model provides {len(inputs)}")
    for part, wanted, provided in (("input", plan.inputs, inputs), ("output", plan.outputs, outputs)):
        for name, value in wanted.items():
            if name not in provided:
                allowed = ", ".join(sorted(provided))
                raise ValueError(f"unexpected inference {part} '{name}', allowed {part}s are: {allowed}")
            graph = provided[name]
            if graph.kind != value.kind:
                raise ValueError(f"{unable} datatype {value.triton} for {part} '{name}', model provides {graph.triton}")
            if part == "input" and name in plan.ragged:
                if graph.dims != (-1,):
                    raise ValueError(
                        f"{unable} model provides input with shape [-1]  for ragged input '{name}', "
                        f"model provides {_shape(graph.dims)}"
                    )
            else:
                _compare(f"model '{plan.name}', tensor '{name}'", graph.dims, value.dims, part == "output")
    for target, (_, kind) in plan.shapes.items():
        if target not in inputs:
            raise ValueError(f"batch_input target_name {target}: the graph has the inputs {', '.join(sorted(inputs))}")
        if inputs[target].kind != TYPES[kind]:
            raise ValueError(f"batch_input {target} is {kind}: the graph takes {inputs[target].triton}")


def _compare(tensor: str, graph: tuple[int, ...], dims: tuple[int, ...], exact: bool) -> None:
    if not graph or graph[0] != -1:
        raise ValueError(
            f"{tensor}: for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {_shape(graph)}"
        )
    full = (-1, *dims)
    agree = all(one == other or (one == -1 and not exact) for one, other in zip(graph, full, strict=False))
    if len(graph) != len(full) or not agree:
        raise ValueError(
            f"{tensor}: the model expects {len(graph)} dimensions (shape {_shape(graph)}) but the model configuration "
            f"specifies {len(full)} dimensions (an initial batch dimension because max_batch_size > 0 followed by the "
            f"explicit tensor shape, making complete shape {_shape(full)}). {EXPORT_AGAIN}"
        )


def _shape(dims: Sequence[int]) -> str:
    return f"[{','.join(map(str, dims))}]"
