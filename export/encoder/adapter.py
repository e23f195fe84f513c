"""Merging of a LoRA adapter, as peft saves it, into an encoder's weights: W + alpha / r · B · A."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from malgil_core.checksums import sha256

from export.encoder.source import UnsupportedEncoderError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
# Settings under which the sum above is not what peft computes.
REFUSED = ("use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias")


def name(folder: Path) -> str:
    """What metadata calls an adapter: by its weights, so that another one in the same place is another source.

    Raises:
        UnsupportedEncoderError: there is none.
    """
    _require(folder)
    return f"adapter {sha256(folder / WEIGHTS)[:12]}"


def described(source: str, folder: Path | None) -> str:
    """What metadata records as the source of an encoder: its name, with the adapter if there is one."""
    return source if folder is None else f"{source} with {name(folder)}"


def merge(model: Any, folder: Path) -> int:
    """Add an adapter to a `transformers` encoder's weights in place.

    Args:
        model: the encoder, in float32.
        folder: with adapter_config.json and adapter_model.safetensors.

    Returns:
        The number of matrices that changed.

    Raises:
        UnsupportedEncoderError: it is no LoRA adapter, or one of another encoder.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise UnsupportedEncoderError(f"adapter {folder}: it cannot be read: {error}") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UnsupportedEncoderError(f"adapter {folder}: only LoRA adapters can be merged")
    for setting in REFUSED:
        if config.get(setting):
            raise UnsupportedEncoderError(f"adapter {folder}: {setting} is {config[setting]!r}: it must be off")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
        raise UnsupportedEncoderError(f"adapter {folder}: r is {rank!r} and lora_alpha {alpha!r}: they must be numbers")
    parameters = dict(model.named_parameters())
    downs = {key.removesuffix(".lora_A.weight"): key for key in weights if key.endswith(".lora_A.weight")}
    if 2 * len(downs) != len(weights) or not downs:
        raise UnsupportedEncoderError(f"adapter {folder}: it must hold pairs of lora_A and lora_B, and nothing else")
    with torch.no_grad():
        for layer, down in downs.items():
            target = parameters.get(f"{layer.removeprefix(PREFIX)}.weight")
            up = weights.get(f"{layer}.lora_B.weight")
            shape = None if up is None else (up.shape[0], weights[down].shape[1])
            if target is None or up is None or shape != tuple(target.shape) or up.shape[1] != rank:
                raise UnsupportedEncoderError(f"adapter {folder}: {layer} does not fit this encoder")
            target += (alpha / rank) * (up.float() @ weights[down].float())
    return len(downs)


def _require(folder: Path) -> None:
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise UnsupportedEncoderError(f"adapter {folder}: it has no {file}")
