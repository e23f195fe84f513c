"""Evaluation: recall and MRR of BM25, dense similarity and both, through an engine, on labelled questions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from malgil_core.documents.types import DocumentOptions

from documents.errors import DocumentsError
from documents.ingest import Embed
from documents.records import Place, Record, record
from documents.search import Method, Searcher

KORQUAD = Path("korquad") / "KorQuAD_v1.0_dev.json"
DEPTH = 20
BATCH = 64
Figures = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Question:
    """A question, and the document that answers it."""

    text: str
    id: str
    kind: str


def korquad(file: Path) -> tuple[list[tuple[Place, Record]], list[Question]]:
    """KorQuAD 1.0: its passages as documents, with the title of their article, and its questions."""
    records: list[tuple[Place, Record]] = []
    questions: list[Question] = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            id = str(len(records))
            title = article["title"].replace("_", " ")
            records.append((f"{file}:{id}", record({"id": id, "title": title, "body": paragraph["context"]})))
            questions += [Question(asked["question"], id, "korquad") for asked in paragraph["qas"]]
    return records, questions


def labelled(file: Path) -> list[Question]:
    """Labelled questions: {"query": text, "id": a document's or null, "kind": text} a line; null ones are left out.

    Raises:
        DocumentsError: a line is something else.
    """
    questions = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        try:
            if line.strip() and (value := json.loads(line))["id"] is not None:
                questions.append(Question(str(value["query"]), str(value["id"]), str(value.get("kind", ""))))
        except (ValueError, KeyError, TypeError, RecursionError):
            sentence = 'a labelled question is {"query": …, "id": …, "kind": …}'
            raise DocumentsError(f"{file}:{number}: {sentence}") from None
    return questions


def measure(searcher: Searcher, questions: Sequence[Question], embed: Embed, name: str) -> Figures:
    """Figures {set: {method: {recall@1, recall@5, recall@20, mrr@10, queries}}}: all questions, and each kind."""
    embeddings = embed([question.text for question in questions])
    figures: Figures = defaultdict(dict)
    places: dict[tuple[str, Method], list[float]] = defaultdict(list)
    for first in range(0, len(questions), BATCH):
        batch = questions[first : first + BATCH]
        texts, vectors = [question.text for question in batch], embeddings[first : first + BATCH]
        answers = searcher.compare(texts, vectors, [DocumentOptions(DEPTH)] * len(batch), timeout=600)
        for method, lists in answers.items():
            for question, found in zip(batch, lists, strict=True):
                ids = [document.id for document in found]
                place = ids.index(question.id) + 1 if question.id in ids else np.inf
                for part in {name, f"{name}/{question.kind}" if question.kind != name else name}:
                    places[part, method].append(place)
    for (part, method), found_at in sorted(places.items()):
        figures[part][method] = _figures(np.array(found_at))
    return dict(figures)


def _figures(places: np.ndarray) -> dict[str, float]:  # type: ignore[type-arg]
    recall = {f"recall@{k}": round(float(np.mean(places <= k)), 4) for k in (1, 5, 20)}
    mrr = float(np.mean(np.where(places <= 10, 1 / places, 0)))
    return {**recall, "mrr@10": round(mrr, 4), "queries": len(places)}
