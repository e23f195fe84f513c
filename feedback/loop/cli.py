"""The command `python -m feedback loop`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from export import ROOT
from export import options as export_options
from feedback import options
from feedback.errors import FeedbackError

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


class Words(click.ParamType["tuple[str, ...]"]):
    """Words of a command line, quoted as in a shell."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The words."""
        try:
            return value if isinstance(value, tuple) else tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command(
    epilog="""\b
Examples:
  python -m feedback loop --dry-run
  python -m feedback loop --run --queries my_queries.jsonl --train "--data ../data --steps 300"

docs/feedback.md has the way on from there: the experiment, and the publish."""
)
@click.option("--run", "is_run", is_flag=True, help="Run the steps whose inputs have changed.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say which would be run, and run none.")
@click.option("--folder", type=FOLDER, default=ROOT / "loop", metavar="FOLDER", help="Of the steps.  [default: loop]")
@click.option(
    "--base", metavar="DIR",
    help="Encoder to train: a sentence-transformers directory, or `bundled`.  [default: what was exported]",
)  # fmt: skip
@click.option(
    "--recipe", default="search", show_default=True, metavar="NAME",
    help="Of the training: search, talk, a .toml file, or none.",
)  # fmt: skip
@click.option(
    "--queries", type=FILE, multiple=True, metavar="FILE",
    help="Labelled queries: evaluated on beside those held out of the log, and calibrated on. Can be repeated.",
)  # fmt: skip
@click.option("--pairs", "pairs_words", type=Words(), default=(), metavar="WORDS", help="Options of `feedback pairs`.")
@click.option("--train", "train_words", type=Words(), default=(), metavar="WORDS", help="Of `training encoder`.")
@click.option("--least-pairs", type=click.IntRange(1), default=50, show_default=True, help="To train on.")
@click.option("--even-if-worse", is_flag=True, help="Make a variant of an encoder that finds less than its base.")
@click.option("--name", default="loop", show_default=True, help="Of the experiment; a hash is added.")
@click.option(
    "--share",
    type=export_options.Between(0.001, 0.999),
    default=0.1,
    show_default=True,
    help="Of people who get the variant.",
)  # fmt: skip
@options.events
@export_options.repository
@export_options.index
def loop(
    is_run: bool, is_dry: bool, folder: Path, base: str | None, recipe: str, queries: tuple[Path, ...],
    pairs_words: tuple[str, ...], train_words: tuple[str, ...], least_pairs: int, even_if_worse: bool, name: str,
    share: float, events: Path, repository: Path, index: Path,
) -> None:  # fmt: skip
    """Once around: pairs, training, evaluation, a generation as a variant, an experiment.

    Each step is a folder with step.json, which has the hashes of what it was made of. A step whose inputs did not
    change is not run again. What serves is only read: the last step writes experiment.json, with the commands that
    serve the variant beside it, compare both, and publish it, for a person to run.
    """
    if is_run == is_dry:
        raise click.UsageError("give either --dry-run or --run")
    from malgil_core.encoder import EncoderMetadata

    from feedback.loop.settings import Settings

    if not events.is_dir():
        raise FeedbackError(f"{events} is not there: `python -m server --events FOLDER` writes events")
    base = base or EncoderMetadata.of(repository).source
    if not base:
        raise FeedbackError(f"{repository} does not say what its encoder was made of: name it by --base")
    made = Settings(
        folder.absolute(), events.absolute(), index.absolute(), repository.absolute(),
        str(Path(base).absolute()) if Path(base).is_dir() else base, None if recipe == "none" else recipe,
        tuple(file.absolute() for file in queries), pairs_words, train_words, least_pairs, even_if_worse, name, share,
    )  # fmt: skip
    if is_dry:
        _plan(made)
    else:
        _run(made)


def _plan(settings: Any) -> None:
    from feedback.loop import plan, steps

    before: dict[str, steps.Done] = {}
    for name in plan.NAMES:
        if len(before) < plan.NAMES.index(name):
            click.echo(f"{name}: would be run after that")
            continue
        step = plan.BUILDERS[name](settings, before)
        done = steps.find(settings.root, step)
        if done:
            before[name] = done
            click.echo(f"{name}: there already, {done.folder}{_figures(done.figures)}")
        else:
            click.echo(f"{name}: would be run")
            for line in step.says:
                click.echo(f"  {line}")


def _run(settings: Any) -> None:
    from feedback.loop import plan, steps

    before: dict[str, steps.Done] = {}
    with steps.locked(settings.root):
        for name in plan.NAMES:
            step = plan.BUILDERS[name](settings, before)
            done = steps.find(settings.root, step)
            state = "there already"
            if done is None:
                for line in step.says:
                    click.echo(f"  {line}")
                done = steps.run(settings.root, step)
                state = f"done in {done.seconds:.0f} s"
            before[name] = done
            click.echo(f"{name}: {state}, {done.folder}{_figures(done.figures)}")
    click.echo(f"nothing was published: {before['experiment'].folder / plan.EXPERIMENT} says how to go on")


def _figures(figures: Any) -> str:
    shown = [
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    ]
    return f" ({', '.join(shown)})" if shown else ""
