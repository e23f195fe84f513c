"""Pairs of texts that should be near each other, and which texts must never be each other's negatives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Groups = dict[str, frozenset[int]]


@dataclass(frozen=True)
class Pair:
    """An anchor, a text that should be near it, and texts that are known not to be.

    Attributes:
        anchor: what is searched with.
        positive: what it should find.
        negatives: near misses that the data set names; none for most data sets.
    """

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pairs:
    """The pairs of a data set.

    Attributes:
        pairs: in the order of the file.
        groups: of each text, the groups it belongs to. Texts that share a group mean the same, so that neither is a
            negative for the other.
    """

    pairs: list[Pair] = field(repr=False)
    groups: Groups = field(repr=False)

    def of(self, texts: Iterable[str]) -> frozenset[int]:
        """The groups that any of the texts belongs to."""
        return frozenset().union(*(self.groups.get(text, frozenset()) for text in texts))


def of_groups(groups: Sequence[Sequence[str]], partners: int) -> Pairs:
    """Pairs of texts of one group, e.g. the phrases of one service: each text with the next `partners` of its group.

    A text of several groups, such as a phrase that two services share, belongs to all of them:

        of_groups([["송금", "이체"], ["이체", "예약"]], 1).groups["이체"] == {0, 1}
    """
    member: dict[str, set[int]] = {}
    pairs = []
    for number, texts in enumerate(groups):
        distinct = list(dict.fromkeys(texts))
        for text in distinct:
            member.setdefault(text, set()).add(number)
        for at, text in enumerate(distinct):
            following = distinct[at + 1 :] + distinct[:at]
            pairs += [Pair(text, other) for other in following[:partners]]
    return Pairs(pairs, {text: frozenset(numbers) for text, numbers in member.items()})


def of_pairs(pairs: Sequence[Pair]) -> Pairs:
    """Pairs whose groups follow from them: texts that pairs connect, over however many steps, mean the same."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        parent.setdefault(text, text)
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for pair in pairs:
        parent[root(pair.anchor)] = root(pair.positive)
        for negative in pair.negatives:
            root(negative)
    numbers: dict[str, int] = {}
    groups = {text: frozenset({numbers.setdefault(root(text), len(numbers))}) for text in list(parent)}
    # A named negative that other pairs connect with the anchor is none.
    kept = [
        Pair(one.anchor, one.positive, tuple(text for text in one.negatives if groups[text] != groups[one.anchor]))
        for one in pairs
    ]
    return Pairs(kept, groups)
