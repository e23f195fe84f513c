"""What a search answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True, slots=True)
class Hit:
    """One service, page or menu that the query may have meant."""

    id: int
    """Its id in the catalogue."""
    name: str
    path: str
    """Where it lives, as the catalogue writes it: "홈 > 송금 > 계좌 송금"."""
    score: float
    """Higher is surer. The scale belongs to the server's encoder: do not compare across encoders."""
    phrase: str
    """The catalogue's phrase that matched best."""
    dense: float | None = None
    """Explained searches: cosine with the nearest phrase. Letters then close a share of what is missing to 1."""
    lexical: float | None = None
    """Explained searches: that share, the evidence of the letters: score = 1 - (1 - dense) * (1 - lexical)."""


@dataclass(frozen=True, slots=True)
class SearchResult(Sequence[Hit]):
    """The hits of one query, best first: a read-only sequence that also says which index answered."""

    hits: tuple[Hit, ...]
    generation: int
    """Number of the index generation; all hits come from this one."""

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]
