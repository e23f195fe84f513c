"""The card of a trained encoder: what it was made from and how, in the README.md of its directory."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from training.encoder import ADAPTER, Trained
from training.losses import LOSSES
from training.settings import Settings

PACKAGES = ("sentence-transformers", "transformers", "torch", "peft")


def write(path: Path, trained: Trained, settings: Settings) -> None:
    """Write the card."""
    path.write_text("\n".join(_card(trained, settings)) + "\n", encoding="utf-8")


def lines(trained: Trained) -> Iterator[str]:
    """The figures, a sentence each."""
    share = trained.weights[0] / trained.weights[1]
    yield (
        f"trained {trained.weights[0]:,} of {trained.weights[1]:,} weights ({share:.1%}) in {trained.seconds:.0f} s "
        f"on {trained.device}"
    )
    if trained.losses:
        yield f"loss {trained.losses[0][1]:.3f} at first, {trained.losses[-1][1]:.3f} at last"
    for name, texts in (("same", "pairs that mean the same"), ("other", "pairs that do not")):
        if name in trained.cosines:
            before, after = trained.cosines[name]
            yield f"mean cosine of {texts}: {before:.3f} before, {after:.3f} after"


def _card(trained: Trained, settings: Settings) -> Iterator[str]:
    yield from ("---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity", "---")
    yield from (f"# {trained.base}, fine-tuned", "")
    yield "Made by `python -m training encoder`. Prompts, pooling, window and tokenizer are the base's."
    yield from ("", "## Data", "", "| file | kind | loss | licence |", "|---|---|---|---|")
    for one in settings.data:
        yield f"| {one.file.name} | {one.kind} | {one.trained_with} | {one.licence} |"
    yield from ("", "The weights are derived from these files and from the base: their licences hold.")
    yield from ("", "| rows of | number | with a hard negative |", "|---|---:|---:|")
    for name, rows in trained.rows.items():
        yield f"| {name} | {len(rows):,} | {rows.mined:,} |"
    yield from ("", "## Losses", "")
    for name in sorted({one.trained_with for one in settings.data}):
        yield f"- {name}: {LOSSES[name]}"
    yield from ("", "## Figures", "")
    yield from (f"- {line}" for line in lines(trained))
    if trained.cosines:
        yield from (
            "",
            "Where cosines moved, thresholds calibrated on the base no longer fit: calibrate again.",
        )
    yield from ("", "| step | mean loss |", "|---:|---:|")
    yield from (f"| {step} | {loss:.4f} |" for step, loss in trained.losses)
    yield from ("", "## Settings", "", "```toml")
    for name, value in settings.model_dump(exclude={"data"}, exclude_none=True).items():
        yield f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
    yield "```"
    if settings.lora is not None:
        yield from ("", f"`{ADAPTER}/` holds the adapter alone, which is merged into the weights here.")
    yield from ("", f"With {', '.join(f'{name} {version(name)}' for name in PACKAGES)}.")
