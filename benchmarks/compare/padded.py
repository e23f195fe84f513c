"""The stock padded graph of the encoder that serves: what an ordinary ONNX export of the same weights gives."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export import ROOT
from export.encoder import bundled, source
from export.encoder.export import BUNDLED_NAME
from export.encoder.graph import OPSET
from server.triton import SetupError

CACHE = ROOT / "models" / "bench" / "padded"


def bundled_weights(repository: Path, progress: Callable[[str], None] = lambda _: None) -> Path:
    """The sentence-transformers folder that the repository's encoder was exported from.

    Raises:
        server.triton.SetupError: it is another than the bundled encoder, whose weights are not at hand.
    """
    metadata = json.loads((repository / "tokenizer" / "1" / "encoder.json").read_text(encoding="utf-8"))
    if metadata["name"] != BUNDLED_NAME:
        raise SetupError(f"{repository} holds {metadata['name']}: this comparison takes the bundled encoder")
    return bundled.unpack(ROOT / bundled.DEFAULT_TARGET, progress)


def export(weights: Path, progress: Callable[[str], None] = lambda _: None) -> Path:
    """A model.onnx with input_ids and attention_mask int64 [B, L] → embedding float32 [B, D]; made once and kept.

    Raises:
        export.source.UnsupportedEncoderError: its pooling is neither mean nor cls.
    """
    target = CACHE / weights.name / "model.onnx"
    if target.exists():
        return target
    progress("exporting the stock padded graph")
    loaded = source.load(str(weights))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        _export(loaded, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _export(loaded: source.Source, target: Path) -> None:
    import torch

    class Embedding(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
        """The stock model, pooled as sentence-transformers does."""

        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model

        def forward(self, ids: Any, mask: Any) -> Any:
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            if loaded.pooling == "cls":
                pooled = states[:, 0]
            else:
                shown = mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * shown).sum(1) / shown.sum(1)
            return torch.nn.functional.normalize(pooled, dim=-1) if loaded.normalize else pooled

    if loaded.pooling not in ("mean", "cls"):
        raise source.UnsupportedEncoderError(f"pooling {loaded.pooling!r}: this comparison pads for mean and cls alone")
    loaded.model.set_attn_implementation("eager")
    example = torch.ones(2, 7, dtype=torch.int64)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # the tracer's remarks on constants; vectors are compared before each measurement
        torch.onnx.export(
            Embedding().eval(),
            (example, example),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": {0: "b", 1: "l"}, "attention_mask": {0: "b", 1: "l"}, "embedding": {0: "b"}},
            opset_version=OPSET,
            dynamo=False,
        )
