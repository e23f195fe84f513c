"""The command `python -m training encoder`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from export import options
from training.errors import TrainingError

EPILOG = """\b
Losses (a kind of data is trained with the first of its losses that is named above, if --loss names none):
  softmax  cross-entropy of a classifier over u, v, |u − v|
  triplet  max(‖a − p‖ − ‖a − n‖ + margin, 0), Euclidean
  mnr      multiple negatives ranking, with the other rows of the batch
  cosent   CoSENT: cosines in the order of the scores

\b
Examples:
  python -m training encoder --out models/search --recipe search --data DATA
  python -m training encoder --out models/own --recipe search --catalog my.jsonl --feedback feedback.jsonl
  python -m training encoder klue/roberta-base --out models/talk --recipe talk --data DATA --device cuda
  python -m training encoder --out models/nli --nli train.tsv --loss nli=triplet --layers 2

docs/training.md says what each is for, and what was measured.
"""

F = Callable[..., Any]
# Kind of data → what a file of it holds, and its losses.
KINDS = {
    "nli": "KorNLI or XNLI (.tsv), or KLUE-NLI (.json): premise, hypothesis, label. softmax, triplet, mnr",
    "sts": "KorSTS (.tsv): sentences with a score from 0 to 5. cosent",
    "questions": "songys/Question_pair (.csv): questions that ask the same, or not. mnr, triplet",
    "paraphrases": "ParaKQC (.txt): groups of ten sentences that mean the same. mnr, triplet",
    "catalog": "Catalog: name, path and phrases of one service are near each other. mnr, triplet",
    "feedback": 'JSON Lines: {"query": …, "positive": …, "negatives": […]}. mnr, triplet',
}


def _data_sets(command: F) -> F:
    """An option for each kind of data."""
    for kind, help in reversed(KINDS.items()):
        command = click.option(f"--{kind}", type=options.PATH, multiple=True, metavar="FILE", help=help)(command)
    return command


def _number(name: str, metavar: str, help: str, type: Any = click.FLOAT) -> Callable[[F], F]:
    return click.option(name, type=type, metavar=metavar, help=help)


@click.command(epilog=EPILOG)
@click.argument("base", default="bundled")
@click.option("--out", type=options.PATH, metavar="DIR", required=True, help="Directory to write; must not exist yet.")
@click.option("--recipe", metavar="NAME", help="search, talk, or a .toml file: data sets and numbers, to start from.")
@click.option("--data", type=options.PATH, metavar="FOLDER", help="Folder of public data sets, for a recipe's.")
@_data_sets
@click.option(
    "--without",
    type=click.Choice(list(KINDS)),
    multiple=True,
    metavar="KIND",
    help="Leave out the recipe's data of a kind.",
)
@click.option("--loss", "chosen", metavar="KIND=LOSS", multiple=True, help="The loss of a kind of data.")
@_number("--layers", "NUMBER", "Train only so many layers from the top.  [default: all, and the embeddings]", int)
@_number("--lora", "RANK", "Train low-rank adapters in the layers instead; merged when saved.", int)
@_number("--steps", "NUMBER", "Batches, taken from the data sets in turn.  [default: 1000]", int)
@_number("--batch-size", "ROWS", "Rows of a batch.  [default: 64]", int)
@_number("--grad-cache", "ROWS", "Embed so many rows of a batch at a time (mnr): large batches in little memory.", int)
@_number("--learning-rate", "NUMBER", "Highest learning rate.  [default: 2e-5]")
@_number("--warmup", "SHARE", "Share of the steps until it is reached.  [default: 0.1]")
@_number("--scale", "NUMBER", "mnr: cosines are multiplied by it, 1 / temperature.  [default: 20]")
@_number("--margin", "NUMBER", "triplet: the margin.  [default: 1]")
@_number("--hard-negatives", "SHARE", "Share of the rows (mnr, triplet) with a hard negative, by BM25.  [default: 0]")
@_number(
    "--false-negative-margin",
    "NUMBER",
    "A hard negative's cosine with the anchor, by the base, is below the positive's by this.  [default: 0]",
)
@_number("--max-length", "TOKENS", "Longer texts are cut while training.  [default: 128]", int)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Of activations.  [default: fp32]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@_number("--seed", "NUMBER", "The same seed and settings give the same weights on one machine.  [default: 0]", int)
@click.option("--save-steps", type=click.IntRange(1), metavar="NUMBER", help="Steps between checkpoints.")
@click.option("--resume", is_flag=True, help="Continue an interrupted training from its newest checkpoint.")
def encoder(
    base: str,
    out: Path,
    recipe: str | None,
    data: Path | None,
    without: tuple[str, ...],
    chosen: tuple[str, ...],
    device: str,
    save_steps: int | None,
    resume: bool,
    **given: Any,
) -> None:
    """Fine-tune an encoder into a sentence-transformers directory.

    BASE is a sentence-transformers or Hugging Face encoder: a directory, a hub id, or `bundled` (the default). DIR gets
    the weights (safetensors), the base's tokenizer, pooling and prompts, and a card; `python -m export encoder DIR`
    takes it. While training, everything is in DIR.part.

    Each option for a kind of data can be given more than once, and replaces the recipe's files of that kind.
    """
    from training import settings

    values, absent = _values(recipe, data, without, chosen, given)
    made = settings.settings(values, f"recipe {recipe}" if recipe else "options")
    for file in absent:
        click.echo(f"skipped: {file} is not there" + ("" if data else ", for want of --data"))

    from transformers.utils import logging

    from export.console import CONSOLE
    from export.progress import bar
    from training import card
    from training import encoder as training

    logging.set_verbosity_error()
    device = training.device_of(device)
    with training.output(out, made, base, resume) as work:
        loaded = training.load(base, click.echo)
        with bar("training", CONSOLE) as advance:
            trained = training.fine_tune(
                loaded,
                made,
                work,
                device,
                resume,
                save_steps,
                lambda text: CONSOLE.print(f"  {text}", soft_wrap=True),
                advance,
            )
        training.save(loaded, work)
        card.write(work / "model" / "README.md", trained, made)
    for line in card.lines(trained):
        click.echo(line)
    click.echo(f"{out}: export it with python -m export encoder {out}")


def _values(
    recipe: str | None, data: Path | None, without: tuple[str, ...], chosen: tuple[str, ...], given: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """A recipe's values with the options in place of its own, and the recipe's files that are not there."""
    from training import settings

    values: dict[str, Any] = settings.recipe(recipe) if recipe else {}
    named = [{"kind": kind, "file": file} for kind in KINDS for file in given.pop(kind)]
    replaced = {*without, *(str(one["kind"]) for one in named)}
    kept = [one for one in values.get("data", ()) if one.get("kind") not in replaced]
    found, absent = settings.located(kept, data)
    values["data"] = [*found, *named]
    for option in chosen:
        kind, _, loss = option.partition("=")
        if kind not in {one["kind"] for one in values["data"]}:
            raise TrainingError(f"--loss {option}: there is no data of kind {kind!r}; KIND=LOSS, as in nli=triplet")
        values["data"] = [{**one, "loss": loss} if one["kind"] == kind else one for one in values["data"]]
    return {**values, **{name: value for name, value in given.items() if value is not None}}, absent
