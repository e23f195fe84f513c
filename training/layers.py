"""Which weights are trained: all, those of the top layers, or low-rank adapters (LoRA) in them."""

from __future__ import annotations

import warnings
from typing import Any

from training.errors import TrainingError

ALPHA = 2  # times the rank: LoRA's factor is 2


def prepare(transformer: Any, layers: int | None, rank: int | None) -> Any:
    """Freeze what is not trained.

    Args:
        transformer: the `transformers` encoder.
        layers: from the top; None for all, and for the embeddings too if there is no rank.
        rank: of LoRA adapters in every linear layer of those; None to train the layers themselves.

    Returns:
        The adapters, for `merge` and `save_adapter`; None without.

    Raises:
        TrainingError: the encoder has not that many layers.
    """
    if layers is None and rank is None:
        return None
    name, every = _stack(transformer)
    count = len(every) if layers is None else layers
    if count > len(every):
        raise TrainingError(f"layers is {count}: this encoder has {len(every)}")
    top = range(len(every) - count, len(every))
    if rank is None:
        transformer.requires_grad_(False)
        for i in top:
            every[i].requires_grad_(True)
        return None

    from peft import LoraConfig, get_peft_model
    from torch.nn import Linear

    targets = [f"{name}.{i}.{path}" for i in top for path, part in every[i].named_modules() if isinstance(part, Linear)]
    config = LoraConfig(r=rank, lora_alpha=ALPHA * rank, lora_dropout=0.0, target_modules=targets)
    with warnings.catch_warnings():  # peft asks transformers for a name that this version renames
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return get_peft_model(transformer, config)


def merge(adapters: Any) -> None:
    """Add the adapters to the weights below them, and take them out of the encoder."""
    if adapters is not None:
        adapters.merge_and_unload()


def _stack(transformer: Any) -> tuple[str, Any]:
    """The name of the encoder's list of layers, and the list."""
    from torch.nn import ModuleList

    count = getattr(transformer.config, "num_hidden_layers", None)
    for name, part in transformer.named_modules():
        if isinstance(part, ModuleList) and len(part) == count:
            return name, part
    raise TrainingError(f"family {transformer.config.model_type}: its layers are not in one list; train all of it")
