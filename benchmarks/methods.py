"""Ways to rank services for a query: BM25, the cosine alone, a linear mix of both, and Malgil's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from malgil_core.ranking.types import Floats

from training.evaluation.corpus import Corpus, Ranks

MALGIL, WITH_NULL = "malgil", "with null phrases"
LAMBDAS = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # of the linear mix: BM25 + lambda · cosine


def ranks(corpus: Corpus, queries: Sequence[str], embeddings: Floats, mix: float) -> dict[str, Ranks]:
    """Each method's ranking; `mix` is the linear one's lambda: BM25 + lambda · cosine (Karpukhin et al. 2020)."""
    words = corpus.bm25(queries)
    found = {
        "bm25": corpus.by_score(words, threshold=0.0),
        "dense": corpus.ids(corpus.dense(embeddings)),
        "linear": corpus.by_score(words + mix * corpus.cosines(embeddings)),
        MALGIL: corpus.ids(corpus.malgil(embeddings, queries)),
    }
    return found | ({WITH_NULL: corpus.ids(corpus.malgil(embeddings, queries, null=True))} if corpus.index.null else {})


def best_mix(corpus: Corpus, queries: Sequence[str], embeddings: Floats, judge: Callable[[Ranks], float]) -> float:
    """The lambda of LAMBDAS with the highest `judge`."""
    words, cosines = corpus.bm25(queries), corpus.cosines(embeddings)
    return max(LAMBDAS, key=lambda mix: judge(corpus.by_score(words + mix * cosines)))
