"""`python -m benchmarks quality`: does the right service come first? Malgil and BM25 on the same labelled queries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import malgil
import numpy as np

from export.catalog import Service

OUT_OF_SCOPE = "out_of_scope"
DEPTH = 10  # hits looked at
Ranks = list[list[int]]  # for each query, service ids, best first


@dataclass(frozen=True)
class Labelled:
    """A query, the id of the service that should come first, and what kind of query it is."""

    query: str
    id: int | None
    kind: str


def read(path: Path) -> list[Labelled]:
    """Labelled queries from JSON Lines."""
    return [Labelled(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def bigrams(text: str) -> list[str]:
    """Character bigrams within words, as Elasticsearch's CJK analyzer takes them; a lone character is a unit."""
    return [word[i : i + 2] for word in text.lower().split() for i in range(max(len(word) - 1, 1))]


def bm25(services: Sequence[Service], queries: Sequence[str]) -> Ranks:
    """Plain BM25 (Robertson et al. 1994; k1 1.5, b 0.75) over the names and phrases of open services."""
    owners = [service.id for service in services if service.open for _ in service.texts]
    texts = [text for service in services if service.open for text in service.texts]
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index([bigrams(text) for text in texts], show_progress=False)
    ranks = []
    for query in queries:
        known = [token for token in bigrams(query) if token in index.vocab_dict]
        scores = index.get_scores(known) if known else np.zeros(len(texts))
        best: dict[int, float] = {}
        for row in np.argsort(-scores, kind="stable"):
            if scores[row] > 0:
                best.setdefault(owners[row], scores[row])
        ranks.append(list(best)[:DEPTH])
    return ranks


def search(url: str, queries: Sequence[str], advance: Callable[[int, int], None]) -> Ranks:
    """The live `search` ensemble."""
    ranks: Ranks = []
    with malgil.SearchClient(url, timeout=30) as client:
        for start in range(0, len(queries), 64):
            results = client.search_many(queries[start : start + 64], top_k=DEPTH)
            ranks += [[hit.id for hit in result] for result in results]
            advance(len(ranks), len(queries))
    return ranks


def score(labelled: Sequence[Labelled], ranks: Ranks) -> dict[str, dict[str, float]]:
    """Recall@1, recall@5 and MRR@10 by kind, and over all in-scope queries as "all"."""
    places: dict[str, list[float]] = defaultdict(list)
    for one, ids in zip(labelled, ranks, strict=True):
        if one.kind != OUT_OF_SCOPE:
            place = ids.index(one.id) + 1 if one.id in ids else np.inf
            places[one.kind].append(place)
            places["all"].append(place)
    return {
        kind: {
            "recall@1": float(np.mean(np.array(found) <= 1)),
            "recall@5": float(np.mean(np.array(found) <= 5)),
            "mrr@10": float(np.mean(1 / np.array(found))),
            "queries": len(found),
        }
        for kind, found in places.items()
    }


def measure(
    catalog: Sequence[Service], labelled: Sequence[Labelled], url: str, advance: Callable[[int, int], None]
) -> dict[str, dict[str, dict[str, float]]]:
    """{kind: {method: {recall@1, recall@5, mrr@10, queries}}}, methods bm25 and malgil."""
    queries = [one.query for one in labelled]
    scored = {
        "bm25": score(labelled, bm25(catalog, queries)),
        "malgil": score(labelled, search(url, queries, advance)),
    }
    return {kind: {method: by_kind[kind] for method, by_kind in scored.items()} for kind in scored["malgil"]}
