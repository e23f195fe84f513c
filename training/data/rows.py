"""The rows that a loss takes: columns of texts and labels, and which rows may not share a batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.data.files import DataError
from training.data.kinds import NLI_LABELS, Labelled
from training.data.pairs import Pair, Pairs, of_pairs

Mine = Callable[[Pairs, Sequence[Pair]], "list[str | None]"]
Columns = dict[str, "list[Any]"]  # a column's values are all texts, all whole numbers or all numbers
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Rows:
    """Rows for one loss.

    Attributes:
        columns: anchor, positive and perhaps negative; or sentence1, sentence2 and label.
        own: of each row, the groups of its anchor and positive. Empty where rows carry labels.
        others: of each row, the groups of its negative.
        mined: rows whose negative is a near miss, mined or named by the data set; the others' are drawn at random.
    """

    columns: Columns = field(repr=False)
    own: list[frozenset[int]] = field(default_factory=list, repr=False)
    others: list[frozenset[int]] = field(default_factory=list, repr=False)
    mined: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def make(read: Pairs | Labelled, loss: str, limit: int, draw: random.Random, mine: Mine | None) -> Rows:
    """The rows for a loss.

    Args:
        read: what a kind's reader returned.
        loss: softmax, cosent, mnr or triplet.
        limit: most rows; more than that are drawn from by `draw`.
        draw: for whatever is random.
        mine: gives a hard negative for some of the pairs; None for negatives within the batch alone (`mnr`).

    Raises:
        DataError: there is no pair.
    """
    if isinstance(read, Labelled):
        if loss in ("softmax", "cosent"):
            return _labelled(read, limit, draw)
        read = _entailments(read)
    if not read.pairs:
        raise DataError("no pair of texts that mean the same")
    chosen = draw.sample(read.pairs, limit) if limit < len(read.pairs) else list(read.pairs)
    columns: Columns = {
        "anchor": [pair.anchor for pair in chosen],
        "positive": [pair.positive for pair in chosen],
    }
    own = [read.of((pair.anchor, pair.positive)) for pair in chosen]
    if mine is None and loss != "triplet":
        return Rows(columns, own, [NONE] * len(chosen))
    found: list[str | None] = [None] * len(chosen) if mine is None else mine(read, chosen)
    if loss == "triplet":  # each row needs a negative: what the data set names is nearer than a text at random
        named = [draw.choice(pair.negatives) if pair.negatives else None for pair in chosen]
        found = [text or other for text, other in zip(found, named, strict=True)]
    pool = sorted(read.groups)
    negatives = [text or _stranger(read, groups, pool, draw) for text, groups in zip(found, own, strict=True)]
    columns["negative"] = negatives
    return Rows(columns, own, [read.of([text]) for text in negatives], sum(text is not None for text in found))


def joined(one: Rows, other: Rows) -> Rows:
    """Rows of two files of one kind; the groups of the second are numbered after the first's."""
    offset = max((number for groups in (*one.own, *one.others) for number in groups), default=-1) + 1

    def shifted(groups: list[frozenset[int]]) -> list[frozenset[int]]:
        return [frozenset(number + offset for number in numbers) for numbers in groups]

    columns: Columns = {name: [*values, *other.columns[name]] for name, values in one.columns.items()}
    return Rows(columns, one.own + shifted(other.own), one.others + shifted(other.others), one.mined + other.mined)


def _labelled(read: Labelled, limit: int, draw: random.Random) -> Rows:
    chosen = range(len(read.labels))
    if limit < len(chosen):
        chosen = draw.sample(chosen, limit)  # type: ignore[assignment]
    return Rows(
        {
            "sentence1": [read.first[i] for i in chosen],
            "sentence2": [read.second[i] for i in chosen],
            "label": [read.labels[i] for i in chosen],
        }
    )


def _entailments(read: Labelled) -> Pairs:
    """A premise with what follows from it, and with what contradicts it as its negatives."""
    by_premise: dict[str, dict[int | float, list[str]]] = {}
    for first, second, label in zip(read.first, read.second, read.labels, strict=True):
        by_premise.setdefault(first, {}).setdefault(label, []).append(second)
    follows, contradicts = NLI_LABELS.index("entailment"), NLI_LABELS.index("contradiction")
    return of_pairs(
        [
            Pair(premise, text, tuple(found.get(contradicts, ())))
            for premise, found in by_premise.items()
            for text in found.get(follows, ())
            if text != premise
        ]
    )


def _stranger(read: Pairs, own: frozenset[int], pool: Sequence[str], draw: random.Random) -> str:
    """A text of another group than these."""
    for _ in range(100):
        text = draw.choice(pool)
        if not read.groups[text] & own:
            return text
    raise DataError("all texts mean the same: a negative needs a text of another group")
