"""Vectors of texts that a client has asked for: hits are shown again and again, and are embedded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from malgil._personal import PersonalLayer
from malgil._results import Hit

Floats = NDArray[np.float32]
MOST = 2048  # vectors kept, 3 MiB at D = 384


class Text(NamedTuple):
    """A text of which a vector is wanted."""

    encoder: str
    kind: str
    text: str


class VectorCache:
    """The vectors of at most `most` texts; the one that was used longest ago goes first. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._vectors: OrderedDict[Text, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, texts: Iterable[Text]) -> dict[Text, Floats]:
        """The vectors that are here."""
        with self._lock:
            found = {text: self._vectors[text] for text in texts if text in self._vectors}
            for text in found:
                self._vectors.move_to_end(text)
        return found

    def put(self, vectors: Mapping[Text, Floats]) -> None:
        """Keep these."""
        with self._lock:
            self._vectors.update(vectors)
            for text in vectors:
                self._vectors.move_to_end(text)
            while len(self._vectors) > self._most:
                self._vectors.popitem(last=False)


class Choice(NamedTuple):
    """What a layer learns from: a query, the hits that say something of it, and which was chosen."""

    query: Text
    phrases: list[Text]
    scores: list[float]
    place: int

    @classmethod
    def of(cls, encoder: str, query: str, hits: Sequence[Hit], chosen: Hit | int) -> Choice:
        """The choice of a hit, or of the place of one; hits further down than the next one say nothing.

        Raises TypeError for a wrong type, ValueError for a hit that is not among those shown.
        """
        if not isinstance(query, str):
            raise TypeError(f"query must be str, not {type(query).__name__}")
        place = _place(hits, chosen)
        seen = hits[: place + 2]
        phrases = [Text(encoder, "phrase", hit.phrase) for hit in seen]  # as publishing a catalog embeds them
        return cls(Text(encoder, "query", query), phrases, [hit.score for hit in seen], place)

    @property
    def texts(self) -> list[Text]:
        """All of them, each once."""
        return list(dict.fromkeys([self.query, *self.phrases]))

    def taught(self, layer: PersonalLayer, vectors: Mapping[Text, Floats]) -> PersonalLayer:
        """The layer, after it has learned from this choice, of which these are the vectors."""
        shown = np.stack([vectors[phrase] for phrase in self.phrases])
        return layer.learn(vectors[self.query], shown, self.place, scores=self.scores)


def _place(hits: Sequence[Hit], chosen: Hit | int) -> int:
    if isinstance(chosen, Hit):
        places = [place for place, hit in enumerate(hits) if hit.id == chosen.id]
        if not places:
            raise ValueError(f"chosen: service {chosen.id} is not among the {len(hits)} hits")
        return places[0]
    if isinstance(chosen, bool) or not isinstance(chosen, int):
        raise TypeError(f"chosen must be malgil.Hit or int, not {type(chosen).__name__}")
    if not 0 <= chosen < len(hits):
        raise ValueError(f"chosen: {chosen} is not a place among {len(hits)} hits, from 0")
    return chosen
