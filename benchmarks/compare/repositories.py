"""Copies of the model repository with other configs, or with more models to compare with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from malgil_core.encoder import EncoderMetadata
from tritonclient.grpc import model_config_pb2

from benchmarks import ROOT

REPOSITORY = ROOT / "model_repository"
LONGEST = Path(__file__).parent / "longest"
LINKED = (".onnx", ".onnx.data", "tokenizer.json")  # too large to copy


def config(path: Path) -> Any:
    """The ModelConfig message in a config.pbtxt."""
    return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def write(folder: Path, message: Any) -> None:
    """Write a model's config.pbtxt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(message), encoding="utf-8")


def copy(
    source: Path, target: Path, edit: Callable[[Any], None] = lambda _: None, index_at: Path | None = None
) -> Path:
    """A copy of a repository whose configs have gone through `edit`; its index is `index_at`, or still the source's.

    Returns:
        `target`.
    """
    shutil.copytree(source, target, copy_function=_link_or_copy, ignore=shutil.ignore_patterns("__pycache__", "*.tmp"))
    for path in target.glob("*/config.pbtxt"):
        message = config(path)
        if "index" in message.parameters:
            message.parameters["index"].string_value = str(index_at or index(source))
        edit(message)
        write(path.parent, message)
    return target


def add_padded(repository: Path, model_file: Path) -> None:
    """Add `padded`: the stock graph with padded inputs, which Triton batches only with requests of the same length."""
    message = config(repository / "encoder" / "config.pbtxt")
    message.name = "padded"
    message.ClearField("batch_input")
    message.ClearField("input")
    for name in ("input_ids", "attention_mask"):
        message.input.add(name=name, data_type=model_config_pb2.TYPE_INT64, dims=[-1])
    message.output[0].dims[:] = [EncoderMetadata.of(repository).dimension]  # the stock graph says its width
    write(repository / "padded", message)
    _add_version(repository / "padded", model_file)


def add_longest(repository: Path, model_file: Path) -> None:
    """Add `longest`: the same graph behind a Python model that pads each batch to its longest request."""
    message = config(repository / "encoder" / "config.pbtxt")
    message.name, message.backend = "longest", "python"
    message.ClearField("batch_input")
    message.ClearField("optimization")
    write(repository / "longest", message)
    _add_version(repository / "longest", model_file)
    shutil.copy2(LONGEST / "model.py", repository / "longest" / "1" / "model.py")


def index(repository: Path) -> Path:
    """The index folder that the scorer follows."""
    parameter = config(repository / "scorer" / "config.pbtxt").parameters["index"]
    return Path(repository, "scorer", parameter.string_value).resolve()


def _add_version(folder: Path, model_file: Path) -> None:
    (folder / "1").mkdir()
    for file in model_file.parent.glob("model.onnx*"):  # and the weights beside it, if it is that large
        (folder / "1" / file.name).symlink_to(file.resolve())


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(LINKED):
        Path(target).symlink_to(Path(source).resolve())
    else:
        shutil.copy2(source, target)
