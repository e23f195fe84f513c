"""Fine-tuning of an encoder, from a base and data sets to a sentence-transformers directory."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformerTrainingArguments
from transformers import set_seed

from export import ROOT
from export.encoder import bundled, choice, source
from export.progress import Advance
from training import layers, losses
from training.data import rows as data_rows
from training.data.kinds import KINDS
from training.data.rows import Rows
from training.errors import TrainingError
from training.mining import Floats, Miner
from training.settings import Settings
from training.trainer import Progress, Trainer

ADAPTER = "adapter"
SAMPLE = 256  # pairs whose cosine is measured before and after
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training, for the card.

    Attributes:
        base: the base's name.
        rows: data set → its rows.
        losses: (step, mean loss since the one before).
        cosines: mean cosine of pairs that mean the same and of pairs that do not, before and after.
        weights: numbers trained, and numbers in all.
        seconds: of training, wall clock.
        device: cpu or cuda.
    """

    base: str
    rows: dict[str, Rows] = field(repr=False)
    losses: list[tuple[int, float]]
    cosines: dict[str, tuple[float, float]]
    weights: tuple[int, int]
    seconds: float
    device: str


def device_of(name: str) -> str:
    """`auto`, `cpu` or `cuda` → the device.

    Raises:
        TrainingError: there is no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is cuda: torch sees no CUDA device here; cpu or auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def load(base: str, say: Say = lambda _: None) -> source.Source:
    """The base encoder: `bundled`, a directory or a hub id.

    Raises:
        TrainingError: it cannot be loaded, or could not be exported after the training.
    """
    name = None
    try:
        if base == choice.BUNDLED:
            from export.encoder.export import BUNDLED_NAME

            base, name = str(bundled.unpack(ROOT / bundled.DEFAULT_TARGET, say)), BUNDLED_NAME
        return source.load(base, name)
    except (source.UnsupportedEncoderError, bundled.BundledError, OSError, ValueError) as error:
        raise TrainingError(f"base {base}: {error}") from error


def fine_tune(
    base: source.Source,
    settings: Settings,
    work: Path,
    device: str = "cpu",
    resume: bool = False,
    save_steps: int | None = None,
    say: Say = lambda _: None,
    advance: Advance = lambda done, total: None,
) -> Trained:
    """Train `base.reference` in place; adapters are merged, and written to `work`/adapter.

    Args:
        base: as `load` returns it.
        settings: what to train.
        work: a folder for checkpoints, kept until the caller removes it.
        device: cpu or cuda.
        resume: continue from the newest checkpoint in `work`.
        save_steps: steps between two checkpoints; None for none.
        say: told what is done.
        advance: told each step.

    Raises:
        TrainingError: a data set or a number does not fit.
    """
    model = base.reference
    prompt = base.prompts["query"]  # a query is compared with phrases, which take its prompt, too
    set_seed(settings.seed)
    model.to(device)
    window = model.max_seq_length
    model.max_seq_length = min(window, settings.max_length)
    encode = _encoder(model, prompt)
    rows = prepare(settings, encode, say)
    before = cosines(rows, encode)
    adapters = layers.prepare(model[0].auto_model, settings.layers, settings.lora)
    made = {
        name: losses.make(name.split(", ")[1], model, settings.margin, settings.scale, settings.grad_cache)
        for name in rows
    }
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(work),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=round(settings.warmup * settings.steps),
        bf16=settings.precision == "bf16",
        use_cpu=device == "cpu",
        seed=settings.seed,
        prompts=prompt or None,
        multi_dataset_batch_sampler="round_robin",
        save_strategy="no" if save_steps is None else "steps",
        save_steps=save_steps or settings.steps,
        save_total_limit=1,
        logging_steps=max(settings.steps // 20, 1),
        report_to="none",
        logging_nan_inf_filter=False,  # it would show the mean of the losses before in place of what is not a number
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
    )
    trainer = Trainer(
        rows,
        model=model,
        args=arguments,
        train_dataset=DatasetDict({name: Dataset.from_dict(one.columns) for name, one in rows.items()}),
        loss=made,
        callbacks=[Progress(advance)],
    )
    with contextlib.suppress(ValueError):
        from transformers.trainer_callback import PrinterCallback

        trainer.remove_callback(PrinterCallback)  # it prints each logged loss
    started = time.monotonic()
    say("training")
    trainer.train(resume_from_checkpoint=resume and any(work.glob("checkpoint-*")))
    seconds = time.monotonic() - started
    logged = [(int(entry["step"]), float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry]
    if not all(np.isfinite(loss) for _, loss in logged):
        raise TrainingError(
            f"the loss is not a number any more: learning_rate {settings.learning_rate:g} may be too high"
        )
    model.eval()
    model.max_seq_length = window
    if adapters is not None:
        adapters.save_pretrained(str(work / ADAPTER), safe_serialization=True)
    layers.merge(adapters)
    total = sum(one.numel() for one in model.parameters())
    after = cosines(rows, encode)
    figures = {name: (before[name], after[name]) for name in before}
    return Trained(base.name, rows, logged, figures, (trained, total), seconds, device)


def save(base: source.Source, work: Path) -> None:
    """Write the trained encoder into `work`/model: safetensors, the base's tokenizer, pooling and prompts."""
    model = base.reference.to("cpu")
    model.save_pretrained(str(work / "model"), create_model_card=False, safe_serialization=True)
    if getattr(model[0].auto_model, "pooler", model) is None:
        # Not saved by sentence-transformers: without it, loading makes a pooler with random weights.
        file = work / "model" / "sentence_bert_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        config["model_kwargs"] = {"add_pooling_layer": False}
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if (work / ADAPTER).is_dir():
        (work / "model" / ADAPTER).mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (work / ADAPTER / name).rename(work / "model" / ADAPTER / name)


def prepare(settings: Settings, encode: Callable[[Sequence[str]], Floats], say: Say) -> dict[str, Rows]:
    """The rows of each data set; those of one kind and loss are one set."""
    draw = random.Random(settings.seed)
    if not settings.data:
        raise TrainingError("no data set to train on: name one, or a recipe and --data")
    # In turn, so many batches each; twice that, for the batches differ between epochs.
    names = {one.name for one in settings.data}
    limit = 2 * settings.batch_size * -(-settings.steps // len(names))
    found: dict[str, Rows] = {}
    for one in settings.data:
        say(f"reading {one.file}")
        read = KINDS[one.kind].read(one.file)
        mine = None
        if settings.hard_negatives and one.trained_with in ("mnr", "triplet"):
            mine = Miner(settings.hard_negatives, settings.false_negative_margin, encode, draw)
            say(f"mining hard negatives in {one.file}")
        try:
            made = data_rows.make(read, one.trained_with, limit, draw, mine)
        except TrainingError as error:
            raise TrainingError(f"{one.file}: {error}") from None
        found[one.name] = data_rows.joined(found[one.name], made) if one.name in found else made
    return found


def cosines(rows: dict[str, Rows], encode: Callable[[Sequence[str]], Floats]) -> dict[str, float]:
    """The mean cosine of anchors with their positives ("same"), and of anchors with other rows' ("other")."""
    pairs = [
        pair
        for one in rows.values()
        if "anchor" in one.columns
        for pair in list(zip(one.columns["anchor"], one.columns["positive"], strict=True))[:SAMPLE]
    ]
    if not pairs:
        return {}
    anchors, positives = (encode([str(pair[i]) for pair in pairs]) for i in (0, 1))
    every = anchors @ positives.T
    same = float(np.trace(every)) / len(pairs)
    other = float(every.sum() - np.trace(every)) / max(len(pairs) * (len(pairs) - 1), 1)
    return {"same": same, "other": other}


def _encoder(model: Any, prompt: str) -> Callable[[Sequence[str]], Floats]:
    def encode(texts: Sequence[str]) -> Floats:
        vectors: Floats = model.encode(
            list(texts), prompt=prompt, normalize_embeddings=True, batch_size=64, show_progress_bar=False
        )
        return vectors

    return encode


@contextlib.contextmanager
def output(out: Path, settings: Settings, base: str, resume: bool) -> Iterator[Path]:
    """The folder in which a training works, beside OUT; what is in its `model` becomes OUT at the end.

    Raises:
        TrainingError: OUT exists, or an interrupted training is there and `resume` is not asked for, or was another.
    """
    work = out.with_name(f"{out.name}.part")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingError(f"{out} exists already: move it away or name another --out")
    described = json.dumps({"base": base, **settings.model_dump(mode="json")}, ensure_ascii=False, indent=2) + "\n"
    note = work / "training.json"
    if work.exists():
        if not note.is_file():
            raise TrainingError(f"{work} is not a training's: move it away or name another --out")
        if not resume:
            raise TrainingError(f"{work} holds an interrupted training: --resume continues it; or remove it")
        before, now = json.loads(note.read_text(encoding="utf-8")), json.loads(described)
        different = [key for key in now if before.get(key) != now[key]]
        if different:
            raise TrainingError(f"{work} was begun with another {different[0]}: --resume takes the same settings")
    elif resume:
        raise TrainingError(f"{work} does not exist: there is nothing to resume")
    work.mkdir(parents=True, exist_ok=True)
    note.write_text(described, encoding="utf-8")
    try:
        yield work
    except Exception:
        if not any(work.glob("checkpoint-*")):
            shutil.rmtree(work)  # there is nothing to resume
        raise
    if out.exists():
        out.rmdir()
    (work / "model").rename(out)
    shutil.rmtree(work)
