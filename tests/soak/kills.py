"""Scenario `kills`: publishers are killed at every instant; what serves stays whole, what was acknowledged stays."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from malgil_core.catalog import reading as catalog
from malgil_core.catalog.reading import Service
from malgil_core.index import history, reader
from malgil_core.index.generation import GenerationError

from benchmarks import CATALOG
from tests.soak.publishers import Finding, PublishedIndex

REHEARSALS = 5  # publishes that are not killed, to learn how long one takes
BEYOND = 1.15  # kills are spread over this many times that
EVERY = 4  # of so many kills, one happens while a second publisher is at work
MOST_PROBLEMS = 5  # that are told in words


@dataclass(frozen=True)
class Kills:
    """Figures of an index whose publishers were killed.

    Attributes:
        count: publishers killed.
        torn: kills after which CURRENT, or any generation that has a number, was not whole.
        lost: kills after which an acknowledged generation was gone, or an older one than it served.
        stuck: kills after which the next publisher did not get the lock at once, or did not end its publish.
        littered: publishes that ended well and left something of a killed one.
        contested: kills of a publisher that held the lock another waited for, or that waited for it.
        acknowledged: publishes that returned before the kill, or were not killed.
        publish_s: median seconds of a publish that is not killed, old generations collected; kills were spread over
            BEYOND times that.
        died: step → kills in it, of those with one publisher alone.
        problems: the first few findings, in words.
    """

    count: int
    torn: int
    lost: int
    stuck: int
    littered: int
    contested: int
    acknowledged: int
    publish_s: float
    died: dict[str, int]
    problems: tuple[str, ...]


def run(
    folder: Path,
    repository: Path,
    kills: int = 200,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
    sample: Sequence[Service] | None = None,
) -> Kills:
    """Kill publishers of an index made for this, and look at the index after each.

    Args:
        folder: where `index` and `work` are made, which must not be there yet.
        repository: the model repository, whose encoder makes the vectors.
        kills: how many.
        seed: of the instants.
        advance: called with (kills done, kills in all).
        sample: services to publish; None is the sample catalog.

    Raises:
        RuntimeError: a publisher does not even begin; the text is its error.
    """
    rng, counts, died, problems = random.Random(seed), Counter[str](), Counter[str](), list[str]()

    def note(when: str, found: Sequence[Finding]) -> None:
        counts.update({what for what, _ in found})  # once for each kill
        problems.extend(f"{when}: {what}: {sentence}" for what, sentence in found)

    with PublishedIndex(folder, repository, catalog.read(CATALOG) if sample is None else sample) as index:
        publish_s = statistics.median(index.rehearse() for _ in range(REHEARSALS))
        instants = [(i + rng.random()) / kills * publish_s * BEYOND for i in range(kills)]
        rng.shuffle(instants)
        for done, instant in enumerate(instants):
            advance(done, kills)
            if done % EVERY == EVERY - 1:
                contested, found = index.kill_one_of_two(instant, victim_first=rng.random() < 0.5)
                counts["contested"] += contested
            else:
                step, found = index.kill(instant)
                died[step] += 1
            note(f"kill {done + 1}", [*found, *findings(index.folder, index.acknowledged, index.lines)])
        advance(kills, kills)
        index.rehearse()
        note("after the last", [*index.litter(), *findings(index.folder, index.acknowledged, index.lines)])
    return Kills(
        count=kills,
        torn=counts["torn"],
        lost=counts["lost"],
        stuck=counts["stuck"],
        littered=counts["littered"],
        contested=counts["contested"],
        acknowledged=len(index.acknowledged),
        publish_s=publish_s,
        died=dict(died.most_common()),
        problems=tuple(problems[:MOST_PROBLEMS]),
    )


def findings(
    index: Path, acknowledged: Mapping[int, int], lines_of: Callable[[int], list[history.Line]]
) -> Iterator[Finding]:
    """What is wrong with an index, each as ("torn" or "lost", a sentence).

    Args:
        index: the index folder, into which no process publishes now.
        acknowledged: generation → the attempt that was told its number.
        lines_of: attempt → its catalog; the paths of its services end in " > ATTEMPT".
    """
    numbers, newest = history.numbers(index), max(acknowledged, default=0)
    try:
        current = reader.current(index) or 0
    except GenerationError as error:
        yield "torn", str(error)
        return
    if current < newest:
        yield "lost", f"CURRENT names {current}, and {newest} was acknowledged"
    if current and current not in numbers:
        yield "torn", f"CURRENT names {current}, which is not there"
    for number in acknowledged:
        if number not in numbers and number > min(numbers, default=0):
            yield "lost", f"generation {number} was acknowledged, and is gone before older ones"
    for entry in history.entries(index, thorough=True):
        if entry.problem:
            yield "torn", entry.problem
            continue
        lines = sorted(history.catalog(index, entry.number), key=lambda line: int(line["id"]))
        attempt = int(lines[0]["path"].rpartition(" > ")[2])
        if lines != sorted(lines_of(attempt), key=lambda line: int(line["id"])):
            yield "torn", f"generation {entry.number} is not what attempt {attempt} published"
        elif acknowledged.get(entry.number, attempt) != attempt:
            yield "lost", f"generation {entry.number} was attempt {acknowledged[entry.number]}'s, and is {attempt}'s"
