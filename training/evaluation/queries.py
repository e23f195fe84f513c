"""Labelled queries on a catalog: recall and reciprocal rank by kind, dense alone and with lexical matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from malgil_core.catalog.reading import Catalog
from malgil_core.ranking.types import Floats

from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from export.catalog.settings import Choices
from export.progress import Advance
from training.evaluation.corpus import Corpus, Entry
from training.evaluation.encoder import Encoder
from training.evaluation.metrics import by_kind, outcomes, places
from training.evaluation.outcome import DENSE, LEXICAL, Outcome


@dataclass(frozen=True)
class Embedded:
    """A catalog and labelled queries, embedded by one encoder.

    Attributes:
        corpus: the open services, and null phrases if the catalog has any.
        inside: queries with a right service.
        inside_vectors: [inside, D].
        outside: queries that should find nothing.
        outside_vectors: [outside, D].
    """

    corpus: Corpus
    inside: Sequence[Labelled]
    inside_vectors: Floats
    outside: Sequence[str]
    outside_vectors: Floats

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        labelled: Sequence[Labelled],
        encoder: Encoder,
        advance: Advance,
        choices: Choices | None = None,
    ) -> Embedded:
        """The catalog's open services and null phrases, and the reporting half of the queries."""
        embed = partial(encoder.embed, kind="phrase", advance=advance)
        corpus = Corpus(Entry.of(catalog.services, choices), embed, catalog.null_topics, choices)
        reported = [one for one in labelled if one.held_out]
        inside = [one for one in reported if one.kind != OUT_OF_SCOPE]
        outside = [one.query for one in reported if one.kind == OUT_OF_SCOPE]
        vectors = encoder.embed([one.query for one in inside] + outside, "query", advance)
        return cls(corpus, inside, vectors[: len(inside)], outside, vectors[len(inside) :])


def measure(embedded: Embedded) -> list[Outcome]:
    """Recall@1, recall@5 and MRR@10 of each kind, and of all in-scope queries."""
    corpus, texts = embedded.corpus, [one.query for one in embedded.inside]
    ranked = {
        DENSE: corpus.dense(embedded.inside_vectors),
        LEXICAL: corpus.malgil(embedded.inside_vectors, texts),
    }
    found = {method: places(embedded.inside, corpus.ids(answers)) for method, answers in ranked.items()}
    return [
        Outcome("queries", kind, method, outcomes(of_method[group]))
        for kind, group in by_kind(embedded.inside).items()
        for method, of_method in found.items()
    ]
