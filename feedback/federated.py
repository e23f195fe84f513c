"""`python -m feedback average`: a better start for personal layers, from the updates of many devices."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from malgil import LayerUpdate, PersonalLayer, gaussian_epsilon
from malgil._federated import checksum, units
from malgil._personal import nearest_within_bounds
from numpy.typing import NDArray

from feedback.errors import FeedbackError

LARGEST = 2**20  # bytes of a file that can be an update
SURE = 6.0  # noise is longer than √(2·D) + this, in standard deviations, once in 60 million updates


@dataclass(frozen=True)
class Averaged:
    """A round of federated averaging.

    Attributes:
        layer: the new start.
        taken: updates that are in it.
        left_out: reason → how many are not.
        clip: length of an update at most, before noise.
        noise_multiplier: of the updates taken.
        cohort: updates that were to be averaged together, at least.
        length: of the mean update.
        noise: standard deviation of the mean update's noise, times √(2·D): the length that noise alone would have.
    """

    layer: PersonalLayer
    taken: int
    left_out: dict[str, int]
    clip: float
    noise_multiplier: float
    cohort: int
    length: float
    noise: float

    def epsilons(self, rounds: int, delta: float) -> tuple[float, float]:
        """ε of the average, and of a message as whoever receives it sees it; infinite without noise."""
        if not self.noise_multiplier:
            return math.inf, math.inf
        alone = self.noise_multiplier / (2 * math.sqrt(self.cohort))
        return (
            gaussian_epsilon(self.noise_multiplier, rounds=rounds, delta=delta),
            gaussian_epsilon(alone, rounds=rounds, delta=delta),
        )


def average(messages: Iterable[bytes], start: PersonalLayer, step: float = 1.0) -> Averaged:
    """The start plus `step` times the mean of updates, as DP-FedAvg has it (McMahan et al. 2018, algorithm 1).

    Left out are messages that are damaged, of another encoder or start, of other terms than the first good one, longer
    than clipping and noise can make them, and copies. What one device can do to the average is bounded by that.

    Args:
        messages: as `LayerUpdate.to_bytes` wrote them.
        start: what the devices began with.
        step: how far to go.

    Raises:
        FeedbackError: fewer updates than the cohort that their noise was shared out for.
    """
    total: NDArray[np.float64] = np.zeros(2 * start.dimension)
    terms: tuple[float, float, int] | None = None
    taken, left_out, seen, encoder = 0, Counter[str](), set[bytes](), start.encoder
    for message in messages:
        digest = hashlib.sha256(message).digest()
        try:
            update = LayerUpdate.from_bytes(message, encoder=encoder)
        except ValueError:
            left_out["damaged, or of another encoder"] += 1
            continue
        of_update = (update.clip, update.noise_multiplier, update.cohort)
        longest = update.clip + update.clip * update.noise_multiplier / math.sqrt(update.cohort) * (
            math.sqrt(2 * update.dimension) + SURE
        )
        if update.dimension != start.dimension or update.start != checksum(start):
            left_out["of another start"] += 1
        elif of_update != (terms or of_update):
            left_out["of another clip, noise or cohort"] += 1
        elif digest in seen:
            left_out["a copy"] += 1
        elif float(np.linalg.norm(update.vector)) > longest * (1 + 1e-5):
            left_out["longer than clipping and noise can make it"] += 1
        else:
            seen.add(digest)
            terms, encoder = of_update, encoder or update.encoder
            total += update.vector
            taken += 1
    return _averaged(start, encoder, total, taken, terms, dict(left_out), step)


def _averaged(
    start: PersonalLayer,
    encoder: str,
    total: NDArray[np.float64],
    taken: int,
    terms: tuple[float, float, int] | None,
    left_out: dict[str, int],
    step: float,
) -> Averaged:
    if terms is None:
        raise FeedbackError(f"no update can be averaged{_told(left_out)}")
    clip, noise_multiplier, cohort = terms
    if taken < cohort:
        raise FeedbackError(
            f"{taken} updates can be averaged{_told(left_out)}; their noise is enough for {cohort} and more: wait"
        )
    mean = total / taken
    moved = start.vector + step * mean * units(start.dimension)
    layer = PersonalLayer(nearest_within_bounds(moved.astype(np.float32)), encoder=encoder)
    deviation = noise_multiplier * clip / math.sqrt(cohort * taken)
    return Averaged(
        layer, taken, left_out, clip, noise_multiplier, cohort, float(np.linalg.norm(mean)),
        deviation * math.sqrt(mean.size),
    )  # fmt: skip


def _told(left_out: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return f" ({reasons})" if reasons else ""


def _read(folder: Path) -> Iterable[bytes]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            yield path.read_bytes() if path.stat().st_size <= LARGEST else b""


class Positive(click.ParamType[float]):
    """A number above 0, and below `below`."""

    name = "number"

    def __init__(self, below: float) -> None:
        self._below = below

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < self._below:
            self.fail(f"{value!r} is not a number above 0 and below {self._below:g}", param, ctx)
        return number


@click.command("average", short_help="A better start for personal layers, from the updates of many devices.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--start", "start_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The layer that the devices began with. Default: zeros.")  # fmt: skip
@click.option("--write", "out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The new start.")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True,
              help="Rounds that a person may have taken part in, this one too: for the privacy left.")  # fmt: skip
@click.option("--delta", type=Positive(1.0), default=1e-6, show_default=True, help="δ, below one over the people.")
@click.option("--step", type=Positive(10.0), default=1.0, show_default=True, help="How far to go towards the mean.")
def average_command(folder: Path, start_file: Path | None, out: Path, rounds: int, delta: float, step: float) -> None:
    """Average the updates in FOLDER, one file each, which apps have sent (docs/personal.md).

    One update of a person in each round: what the figures of privacy say holds for that.
    """
    messages = list(_read(folder))
    start = PersonalLayer.from_bytes(start_file.read_bytes()) if start_file else _zero(messages)
    found = average(messages, start, step)
    out.write_bytes(found.layer.to_bytes())
    click.echo(f"{out}: the mean of {found.taken} updates{_told(found.left_out)}")
    click.echo(f"its length is {found.length:.4f}; that of noise alone would be {found.noise:.4f}")
    together, alone = found.epsilons(rounds, delta)
    click.echo(
        f"privacy after {rounds} rounds at delta {delta:g}: epsilon {together:.3g} for the average, "
        f"{alone:.3g} for a message by itself"
    )


def _zero(messages: Iterable[bytes]) -> PersonalLayer:
    """Zeros of the dimension and encoder of the first update that can be read."""
    for message in messages:
        try:
            update = LayerUpdate.from_bytes(message)
        except ValueError:
            continue
        return PersonalLayer.zero(update.dimension, encoder=update.encoder)
    raise FeedbackError("no file in the folder is an update")
