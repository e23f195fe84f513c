"""The results of searches: services and suggestions with their index generation, and documents with a status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from malgil._tracking import Shown


@dataclass(frozen=True, slots=True)
class Hit:
    """One service, page or menu that matches the query."""

    id: int
    """The service's id in the catalog."""
    name: str
    path: str
    """The service's place in the app, as in the catalog: "홈 > 송금 > 계좌 송금"."""
    score: float
    """1 - (1 - dense) * (1 - lexical): higher is better. Not comparable between encoders."""
    phrase: str
    """The service's phrase that matched best."""
    dense: float | None = None
    """Cosine similarity of the query with the service's nearest phrase. None unless `explain=True`."""
    lexical: float | None = None
    """Lexical score of the service, 0 to 1, from keystrokes and shared words. None unless `explain=True`."""
    team: str | None = None
    """The arm of an Interleaving that the hit comes from, "a" or "b". None in any other result."""


@dataclass(frozen=True, slots=True)
class NullMatch:
    """The null phrase nearest to a query: something that the app does not do."""

    topic: str
    """The name of its topic in the catalog."""
    phrase: str
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult(Sequence[Hit]):
    """The hits of one query, best first: a read-only sequence with the number of the index generation.

    With feedback, `chose` and `abandoned` report what the person did next. Without, they do nothing.
    """

    hits: tuple[Hit, ...]
    generation: int
    """Number of the index generation that all hits come from."""
    refused_by: str | None = None
    """Why the query was taken to be out of scope, which leaves the result empty: "null", by the null phrase in `null`;
    "floor", because no service scored high enough; "" if it was not. None unless `explain=True`."""
    null: NullMatch | None = None
    """The nearest null phrase. None unless `explain=True`, and if the query was not compared with null phrases."""
    search_id: str = field(default="", compare=False)
    """The id of the search session: that which was passed to the search, or a new one."""
    _shown: Shown | None = field(default=None, repr=False, compare=False)

    @property
    def ticket(self) -> str:
        """This result as text, for `client.feedback.chose(ticket, hit)` later or in another process.

        It has ids and scores of the hits, no query and no person's id. "" without feedback.
        """
        return self._shown.ticket() if self._shown else ""

    def chose(self, hit: Hit) -> None:
        """Report that the person opened the hit. Returns at once. ValueError if the hit is not of this result."""
        if not isinstance(hit, Hit):
            raise TypeError(f"hit must be malgil.Hit, not {type(hit).__name__}")
        if self._shown:
            self._shown.chose(hit.id)
        elif hit.id not in {own.id for own in self.hits}:
            raise ValueError(f"hit: {hit.id} is the id of no hit of this result")

    def abandoned(self) -> None:
        """Report that the person left the search without opening a hit. Returns at once."""
        if self._shown:
            self._shown.abandoned()

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One text that what is being typed may become."""

    text: str
    id: int
    """The id of the service that the text leads to."""
    name: str
    path: str
    source: str
    """Where the text is from: "phrase", the catalog; "query", what people typed."""
    score: float
    """Lexical match with what is typed, 0 to 1. Suggestions are in order: what people chose most comes first."""


@dataclass(frozen=True, slots=True)
class SuggestResult(Sequence[Suggestion]):
    """The suggestions for one text, best first: a read-only sequence with the number of the index generation."""

    suggestions: tuple[Suggestion, ...]
    generation: int
    """Number of the index generation that all suggestions come from."""

    def __len__(self) -> int:
        return len(self.suggestions)

    @overload
    def __getitem__(self, index: int) -> Suggestion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Suggestion, ...]: ...
    def __getitem__(self, index: int | slice) -> Suggestion | tuple[Suggestion, ...]:
        return self.suggestions[index]


@dataclass(frozen=True, slots=True)
class Document:
    """One article that matches the query."""

    id: str
    """The document's id, as it was ingested."""
    title: str
    snippet: str
    """The part of its text that fits best, up to 160 characters. It can have line breaks."""
    highlights: tuple[tuple[int, int], ...]
    """Where the query's words stand in the snippet: (start, end) in characters, `snippet[start:end]`."""
    url: str
    category: str
    score: float
    """Cosine similarity plus a lexical part: higher is better. Not comparable with the score of a service."""


@dataclass(frozen=True, slots=True)
class DocumentsResult(Sequence[Document]):
    """The documents of one query, best first: a read-only sequence with the status of the search for them."""

    documents: tuple[Document, ...]
    status: str
    """How the search for them went: "ok"; "late", if they were not found within the deadline; "unavailable", if the
    engine is down or has no documents of the server's encoder; "off", if the server has no engine. Only "ok" comes
    with documents."""

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Document, ...]: ...
    def __getitem__(self, index: int | slice) -> Document | tuple[Document, ...]:
        return self.documents[index]


@dataclass(frozen=True, slots=True)
class UnifiedResult:
    """The services and the documents of one query, found side by side for one encoding of it."""

    services: SearchResult
    documents: DocumentsResult
