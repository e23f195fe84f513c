"""Hard negatives: texts that BM25 finds for an anchor, and that do not mean the same.

DPR (Karpukhin et al. 2020) trains with one BM25 negative for each question. Of short texts many a BM25 hit means the
same without being labelled so; such false negatives are filtered out by the base encoder: a candidate is taken only
if its cosine with the anchor is below the positive's by a margin.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import bm25s
import numpy as np
import numpy.typing as npt

from training.data.pairs import Pair, Pairs

Floats = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]  # texts → unit vectors [N, D]
CANDIDATES = 5  # of an anchor, best first, that the encoder looks at
DEPTH = 100  # BM25 hits that are looked through for them


def bigrams(text: str) -> list[str]:
    """Character bigrams within words, as Elasticsearch's CJK analyzer takes them; a lone character is a unit."""
    return [word[i : i + 2] for word in text.lower().split() for i in range(max(len(word) - 1, 1))]


class Miner:
    """Mining of hard negatives for a share of pairs.

    Args:
        share: of the pairs, from 0 to 1, that are to get a hard negative.
        margin: by which a candidate's cosine with the anchor must stay below the positive's.
        encode: the base encoder.
        draw: which pairs.
    """

    def __init__(self, share: float, margin: float, encode: Encode, draw: random.Random) -> None:
        self.share, self.margin, self.encode, self.draw = share, margin, encode, draw

    def __call__(self, read: Pairs, pairs: Sequence[Pair]) -> list[str | None]:
        """A hard negative for each pair, or None: it was not drawn, or nothing near it is surely something else.

        Near misses that the data set itself names are taken first, unfiltered.
        """
        found: list[str | None] = [None] * len(pairs)
        drawn = sorted(self.draw.sample(range(len(pairs)), round(self.share * len(pairs))))
        named = [i for i in drawn if pairs[i].negatives]
        for i in named:
            found[i] = self.draw.choice(pairs[i].negatives)
        rest = [i for i in drawn if not pairs[i].negatives]
        candidates = dict(zip(rest, candidates_of(read, [pairs[i] for i in rest]), strict=True))
        for i, texts in candidates.items():
            if texts:
                found[i] = ""  # holds the place: the cosines of all are computed at once, below
        asked = [i for i in rest if found[i] == ""]
        kept = self._surely_other([pairs[i] for i in asked], [candidates[i] for i in asked])
        for i, text in zip(asked, kept, strict=True):
            found[i] = text
        return found

    def _surely_other(self, pairs: Sequence[Pair], candidates: Sequence[list[str]]) -> list[str | None]:
        """The best candidate of each pair that is no false negative."""
        texts = sorted(
            {text for pair in pairs for text in (pair.anchor, pair.positive)}
            | {text for found in candidates for text in found}
        )
        if not texts:
            return []
        vectors = dict(zip(texts, self.encode(texts), strict=True))
        return [
            next(
                (
                    text
                    for text in found
                    if vectors[pair.anchor] @ vectors[text]
                    < vectors[pair.anchor] @ vectors[pair.positive] - self.margin
                ),
                None,
            )
            for pair, found in zip(pairs, candidates, strict=True)
        ]


def candidates_of(read: Pairs, pairs: Sequence[Pair]) -> list[list[str]]:
    """For each pair, the texts of the data set that BM25 finds for its anchor, none of a group of the pair's."""
    pool = sorted(read.groups)
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index([bigrams(text) for text in pool], show_progress=False)
    found = []
    for pair in pairs:
        own = read.of((pair.anchor, pair.positive))
        known = [token for token in bigrams(pair.anchor) if token in index.vocab_dict]
        scores = index.get_scores(known) if known else np.zeros(len(pool), np.float32)
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        hits = [pool[i] for i in best if scores[i] > 0 and not read.groups[pool[i]] & own]
        found.append(hits[:CANDIDATES])
    return found
