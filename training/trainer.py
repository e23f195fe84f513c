"""sentence-transformers' trainer, with batches by groups and checkpoints that hold only what is trained.

Checkpoints are read back by `--resume` alone, and only those that the same training wrote beside its output. Weights
are in safetensors. What transformers' Trainer adds (optimizer.pt, scheduler.pt, rng_state.pth) is torch's format, which
can hold pickled objects; it reads them with `weights_only=True`, which builds tensors and numbers and refuses all else.
The pickled training_args.bin that it would write is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformerTrainer
from transformers import TrainerCallback

from export.progress import Advance
from training.data.rows import Rows
from training.errors import TrainingError
from training.sampling import GroupedBatchSampler

TRAINED = "trained.safetensors"


class Trainer(SentenceTransformerTrainer):  # type: ignore[misc]  # the base is untyped
    """The trainer for rows by data set.

    Args:
        rows: data set → its rows, whose columns are the dataset of that name.
    """

    def __init__(self, rows: dict[str, Rows], **keywords: Any) -> None:
        self.rows = rows
        super().__init__(**keywords)

    def get_batch_sampler(self, dataset: Any, batch_size: int, **_: Any) -> GroupedBatchSampler:
        """Batches of one data set."""
        name = next(name for name, one in self.train_dataset.items() if one is dataset)
        return GroupedBatchSampler(dataset, self.rows[name], batch_size, self.args.seed)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Without: training.card writes the card."""

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        """Everything with a gradient: the model's weights or adapters, and the classifiers of losses."""
        parts = {"model": self.model, **{f"loss.{name}": loss for name, loss in self.loss.items()}}
        found: dict[str, torch.nn.Parameter] = {}
        seen: set[int] = set()
        for part, module in parts.items():
            for name, parameter in module.named_parameters():
                if parameter.requires_grad and id(parameter) not in seen:
                    seen.add(id(parameter))  # losses hold the model, too
                    found[f"{part}.{name}"] = parameter
        return found

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: one.detach().contiguous() for name, one in self._trained().items()}, folder / TRAINED)

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        saved = load_file(Path(checkpoint_path) / TRAINED)
        trained = self._trained()
        if saved.keys() != trained.keys():
            raise TrainingError(f"{checkpoint_path} holds other weights than are trained: remove it and start again")
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(saved[name])


class Progress(TrainerCallback):  # type: ignore[misc]  # the base is untyped
    """Tells a bar how far the training is."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each step."""
        self.advance(state.global_step, state.max_steps)
