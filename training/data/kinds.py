"""The kinds of data sets: how each is read, and the losses that it can be trained with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from malgil_core.catalog.reading import read as read_catalog

from training.data import files
from training.data.files import DataError
from training.data.pairs import Pair, Pairs, of_groups, of_pairs

NLI_LABELS = ("entailment", "neutral", "contradiction")
SAME = "0"  # in the column is_duplicate of songys/Question_pair
BLOCK = 10  # paraphrases of ParaKQC that stand together
MOST_SCORE = 5.0  # of KorSTS
PARTNERS = 3  # pairs that each text of a group begins


@dataclass(frozen=True)
class Labelled:
    """Pairs of sentences with a label each.

    Attributes:
        first: sentences.
        second: sentences.
        labels: a class's place in NLI_LABELS, or a similarity from 0 to 1.
    """

    first: list[str]
    second: list[str]
    labels: list[int] | list[float]


Read = Callable[[Path], "Pairs | Labelled"]


@dataclass(frozen=True)
class Kind:
    """A kind of data set.

    Attributes:
        read: a file of it → its rows.
        losses: those it can be trained with, the default first.
    """

    read: Read
    losses: tuple[str, ...]


def read_nli(path: Path) -> Labelled:
    """Premises, hypotheses and labels of KorNLI and XNLI (tab-separated) or KLUE-NLI (a JSON array)."""
    first, second, labels = [], [], []
    rows: Iterable[tuple[int, dict[str, str]]]
    if path.suffix == ".json":
        names, rows = ("premise", "hypothesis"), enumerate(_array(path), start=1)
    else:
        names = ("sentence1", "sentence2")
        rows = files.table(path, (*names, "gold_label"), "\t", quoted=False)
    for line, row in rows:
        if row.get("gold_label") == "-":  # the annotators did not agree
            continue
        labels.append(files.choice(path, line, "gold_label", row.get("gold_label"), NLI_LABELS))
        first.append(files.text(path, line, names[0], row.get(names[0])))
        second.append(files.text(path, line, names[1], row.get(names[1])))
    return Labelled(first, second, labels)


def read_sts(path: Path) -> Labelled:
    """Pairs of sentences and their similarity of KorSTS, from 0 to 1."""
    first, second, labels = [], [], []
    for line, row in files.table(path, ("score", "sentence1", "sentence2"), "\t", quoted=False):
        labels.append(files.number(path, line, "score", row["score"], 0, MOST_SCORE) / MOST_SCORE)
        first.append(files.text(path, line, "sentence1", row["sentence1"]))
        second.append(files.text(path, line, "sentence2", row["sentence2"]))
    return Labelled(first, second, labels)


def read_questions(path: Path) -> Pairs:
    """Questions that ask the same, of songys/Question_pair; those that were paired and do not are their negatives."""
    same: list[tuple[str, str]] = []
    other: dict[str, list[str]] = {}
    for line, row in files.table(path, ("question1", "question2", "is_duplicate"), ",", quoted=True):
        if not row["question1"].strip() or not row["question2"].strip():
            continue  # the published file has such rows
        label = files.choice(path, line, "is_duplicate", row["is_duplicate"], ("0", "1"))
        one, two = (files.text(path, line, name, row[name]) for name in ("question1", "question2"))
        if str(label) == SAME:
            same.append((one, two))
        else:
            other.setdefault(one, []).append(two)
            other.setdefault(two, []).append(one)
    return of_pairs([Pair(one, two, tuple(other.get(one, ()))) for one, two in same if one != two])


def read_paraphrases(path: Path) -> Pairs:
    """Groups of ten sentences that mean the same, of ParaKQC: type, topic, sentence, ten after ten."""
    sentences = []
    line = 0
    for line, content in files.lines(path):
        fields = content.split("\t")
        if len(fields) != 3:
            raise DataError(f"{path}:{line}: {len(fields)} fields: a line must have 3, with tabs between them")
        sentences.append(files.text(path, line, "sentence", fields[2]))
    if len(sentences) % BLOCK:
        raise DataError(f"{path}:{line}: {len(sentences):,} sentences: they must come in groups of {BLOCK}")
    return of_groups([sentences[at : at + BLOCK] for at in range(0, len(sentences), BLOCK)], PARTNERS)


def read_services(path: Path) -> Pairs:
    """The texts of each service of a catalog: its name, its path and its phrases."""
    return of_groups([[one.name, *one.phrases, one.path] for one in read_catalog(path)], PARTNERS)


def read_feedback(path: Path) -> Pairs:
    """What people typed and what they chose: {"query": text, "positive": text, "negatives": [texts]} a line."""
    pairs = []
    for line, value in files.json_lines(path):
        unknown = sorted(value.keys() - {"query", "positive", "negatives"})
        if unknown:
            raise DataError(f"{path}:{line}: field {unknown[0]!r}: only query, positive and negatives are known")
        negatives = value.get("negatives", [])
        if not isinstance(negatives, list):
            raise DataError(f"{path}:{line}: negatives is {json.dumps(negatives)[:60]}: it must be an array of texts")
        pairs.append(
            Pair(
                files.text(path, line, "query", value.get("query")),
                files.text(path, line, "positive", value.get("positive")),
                tuple(files.text(path, line, f"negatives[{i}]", text) for i, text in enumerate(negatives)),
            )
        )
    return of_pairs(pairs)


def _array(path: Path) -> list[dict[str, str]]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError(f"{path}: it must be an array of objects, as KLUE publishes it")
    return value


PAIR_LOSSES = ("mnr", "triplet")
KINDS = {
    "nli": Kind(read_nli, ("softmax", "triplet", "mnr")),
    "sts": Kind(read_sts, ("cosent",)),
    "questions": Kind(read_questions, PAIR_LOSSES),
    "paraphrases": Kind(read_paraphrases, PAIR_LOSSES),
    "catalog": Kind(read_services, PAIR_LOSSES),
    "feedback": Kind(read_feedback, PAIR_LOSSES),
}
