"""The draft: the store's catalog taken up in the background, and searched."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Protocol

import malgil
import numpy as np
from malgil_core.catalog.reading import Catalog, with_null_files
from malgil_core.index.building import Vectors
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.ranking.types import QueryOptions, Ranked
from malgil_core.text.tokenization import Tokenization
from malgil_core.text.validation import is_blank

from console.draft.building import Builder
from console.draft.drafted import Drafted
from console.draft.problems import FAILURES, DraftError, sentence, unusable_query
from console.draft.types import Answer, DraftState, Hit, Neighbour
from console.draft.vectors import Embedder

KEPT_LINES = 4096  # lines whose neighbours are kept
LOOK_SECONDS = 0.5  # between two looks at the store: another process may write to it
PAUSE_SECONDS = 0.3  # without a further change, before a change is taken up
log = logging.getLogger(__name__)


class Source(Protocol):
    """What the draft reads of a store."""

    def revision(self) -> int:
        """The number of the last change."""

    def catalog(self) -> Catalog:
        """A consistent snapshot."""


class Draft:
    """The store's catalog as a generation in memory, searched by the code that a server ranks with.

    Only new texts are embedded: through the server, once each. What the generation that serves holds is taken from the
    index. Memory: the vectors of the current catalog (those of the one before while the next is built), twice their
    lexical index, and the last few thousand texts that people typed.

    Args:
        store: whose catalog it is.
        access: makes a client of the server that embeds.
        index: the index folder, whose vectors are reused.
        repository: the model repository, with the tokenizer of the server's encoder.
        null_files: files of null topics that a publish adds.
        settings_file: weights, thresholds and limits that a publish takes.
    """

    def __init__(
        self,
        store: Source,
        access: Callable[[], malgil.SearchClient],
        index: Path,
        repository: Path,
        null_files: Sequence[Path] = (),
        settings_file: Path | None = None,
    ) -> None:
        self._store, self._null_files = store, tuple(null_files)
        self._embedder = Embedder(access, repository)
        self._builder = Builder(self._embedder, index, repository, null_files, settings_file)
        self._state = DraftState()
        self._drafted: Drafted | None = None
        self._tokenization: Tokenization | None = None
        self._inputs: object = None  # what the draft was built from, beside the store
        self._neighbours: dict[tuple[int, int | None, str], Neighbour | None] = {}  # of lines that are written
        self._wake, self._stopped = Event(), Event()
        self._building = Lock()
        self._thread: Thread | None = None

    @property
    def state(self) -> DraftState:
        """What is searched now, and what keeps it from being newer."""
        return self._state

    @property
    def drafted(self) -> Drafted | None:
        """The catalog that is searched now; None before the first one is built."""
        return self._drafted

    @property
    def client(self) -> malgil.SearchClient:
        """The client of the server, for what is live."""
        return self._embedder.client

    def start(self) -> None:
        """Follow the store in a thread."""
        self._thread = Thread(target=self._follow, name="draft", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following the store, and close the connection."""
        self._stopped.set()
        self._wake.set()
        if self._thread:
            self._thread.join()
        self._embedder.close()

    def changed(self) -> None:
        """Look at the store soon: it was changed."""
        self._wake.set()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            if self._wake.is_set():
                self._wake.clear()
                while not self._stopped.is_set() and self._wake.wait(PAUSE_SECONDS):  # saves in a row are taken up once
                    self._wake.clear()
            if not self._stopped.is_set():
                self.refresh()
            self._wake.wait(LOOK_SECONDS)

    def refresh(self) -> None:
        """Take up the store's catalog, if it is not the one that is searched; a problem is told in `state`."""
        with self._building:
            try:
                self._refresh()
            except FAILURES as error:
                self._state = replace(self._state, problem=sentence(error), building=False)
            except Exception as error:  # the thread that follows the store must not die of it
                log.exception("the draft cannot be built")
                kind = type(error).__name__
                problem = f"초안을 만들다가 문제가 생겼어요({kind}). 관리자에게 콘솔의 로그를 봐 달라고 해 주세요."
                self._state = replace(self._state, problem=problem, building=False)

    def _refresh(self) -> None:
        revision, inputs = self._store.revision(), self._builder.files()
        if self._drafted and (revision, inputs) == (self._state.revision, self._inputs) and not self._state.problem:
            return
        catalog = with_null_files(self._store.catalog(), self._null_files)
        if self._drafted and inputs == self._inputs and _same(catalog, self._drafted.catalog):
            self._drafted.revision = revision  # changed, and changed back
            self._state = replace(self._state, revision=revision, problem=None)
            return
        self._state = replace(self._state, building=True)
        drafted, tokenization = self._builder.build(catalog, revision, self._drafted, self._advance)
        self._drafted, self._tokenization, self._inputs = drafted, tokenization, inputs
        self._state = DraftState(revision, drafted.generation)

    def _advance(self, done: int, total: int) -> None:
        self._state = replace(self._state, embedded=done, to_embed=total)

    def search(self, query: str, surface: str | None = None, top_k: int = 10, null: bool = True) -> Answer:
        """What the server would answer once the draft is published, explained.

        Raises:
            DraftError: the query cannot be used, or the server that embeds it cannot be reached.
        """
        drafted = self._ready()
        options = self._options(drafted, surface, top_k, null)
        return drafted.answer(query, self.query_vectors([query]), options)

    def rank(self, queries: Sequence[str], surface: str | None = None, top_k: int = 10) -> tuple[Drafted, list[Ranked]]:
        """The ranking of many queries, and the catalog that they were ranked in; raises as `search` does."""
        drafted = self._ready()
        options = [self._options(drafted, surface, top_k, True)] * len(queries)
        return drafted, drafted.rank(queries, self.query_vectors(queries), options)

    def candidates(self, queries: Sequence[str], top_k: int) -> list[list[Hit]]:
        """The open services that score highest for each query, whatever keeps them from being shown.

        Raises:
            DraftError: a query cannot be used, or the server cannot be reached.
        """
        return self._ready().unrestricted(queries, self.query_vectors(queries), top_k)

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """Unit vectors [queries, D] as a search embeds them: Latin words are those of the draft.

        Raises:
            DraftError: a query cannot be used, or the server cannot be reached.
        """
        tokenization = self._tokenization
        if tokenization is None:
            raise DraftError(self._state.problem or NOT_BUILT)
        for query in queries:
            if len(query.encode("utf-8", "replace")) > MAX_TEXT_BYTES or is_blank(query) or not _is_unicode(query):
                raise DraftError(unusable_query(query))
        # The server corrects the keyboard layout by the words of the catalog that serves: a phrase is not corrected,
        # and takes the same prompt.
        return self.phrase_vectors([tokenization.restored(query) for query in queries])

    def phrase_vectors(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [texts, D] of texts as phrases.

        Raises:
            DraftError: the server cannot be reached.
        """
        try:
            return self._embedder.of(texts)
        except FAILURES as error:
            raise DraftError(sentence(error)) from None

    def line_vectors(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [texts, D] of lines that are written; those of the draft's own texts are known already.

        Raises:
            DraftError: the server cannot be reached.
        """
        drafted = self._ready()
        found = {text: vector for text in texts if (vector := drafted.vector_of(text)) is not None}
        new = [text for text in texts if text not in found]
        if new:
            found.update(zip(new, self.phrase_vectors(new), strict=True))
        return np.stack([found[text] for text in texts])

    def line_neighbours(self, texts: Sequence[str], service_id: int | None) -> list[Neighbour | None]:
        """For each line the nearest phrase of another service, if it is nearly the same; None if there is none.

        Raises:
            DraftError: the server cannot be reached.
        """
        drafted = self._ready()
        keys = [(drafted.number, service_id, text) for text in texts]
        new = [key for key in dict.fromkeys(keys) if key not in self._neighbours]
        found = dict(self._neighbours)
        if new:
            vectors = self.line_vectors([text for *_, text in new])
            found.update(zip(new, drafted.nearest(vectors, service_id), strict=True))
        self._neighbours = dict(list(found.items())[-KEPT_LINES:])
        near = [found[key] for key in keys]
        return [one if one and one.cosine >= drafted.near else None for one in near]

    def tokens(self, text: str) -> tuple[int, int]:
        """How many tokens the encoder would read of a text, and how many it reads at most; 0 before it is known."""
        tokenization = self._tokenization
        return (tokenization.count(text), tokenization.max_length) if tokenization else (0, 0)

    def _ready(self) -> Drafted:
        if self._drafted is None:
            raise DraftError(self._state.problem or NOT_BUILT)
        return self._drafted

    @staticmethod
    def _options(drafted: Drafted, surface: str | None, top_k: int, null: bool) -> QueryOptions:
        if surface is not None:
            surface = unicodedata.normalize("NFC", surface)
            if surface not in drafted.generation.surfaces:
                raise DraftError(f"노출 영역 ‘{surface[:64]}’에 나오는 서비스가 초안에 없어요.")
        return QueryOptions(top_k, surface, None, null)


NOT_BUILT = "초안을 만들고 있어요. 잠시 뒤에 다시 찾아 주세요."


def _same(one: Catalog, other: Catalog) -> bool:
    return one.services == other.services and one.null_topics == other.null_topics


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
