"""Updates under load: whether searchers ever miss a document, or see half of a new version, while it is replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from malgil_core.documents.types import DocumentOptions

from benchmarks.documents.engines import Advance, Whole, vectors
from documents import collection
from documents.engine import Access, Engine
from documents.ingest import Ingest
from documents.records import Record
from documents.search import Searcher

BATCH = 20  # documents of an update at most


@dataclass
class Outcome:
    """What searchers saw.

    Attributes:
        updates: documents replaced.
        seconds: that it took.
        searches: meanwhile.
        missing: searches without the document that they looked for.
        torn: searches that found the title of one version with the body of another.
        lost: documents that were not of the last version afterwards.
    """

    updates: int
    seconds: float
    searches: int
    missing: int
    torn: int
    lost: int

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


def versioned(document: Record, version: int) -> Record:
    """A document that says its version in title and body."""
    return replace(document, title=f"{document.id} 안내 {version}판", body=f"{document.id} 문서의 {version}판입니다.")


def measure(
    uri: str, documents: Sequence[Record], updates: int, searchers: int,
    advance: Advance = lambda what, done, all: None,
) -> Outcome:  # fmt: skip
    """Replace documents of an empty engine, while searchers look for them by their ids.

    Args:
        uri: of the engine.
        documents: those that are replaced, in turns.
        updates: how many replacements.
        searchers: threads that search meanwhile.
        advance: as in `engines.measure`.
    """
    engine = Engine(Access(uri))
    name = collection.create(engine, collection.State("", vectors([""]).shape[1], 512))
    collection.point(engine, collection.ALIAS, name)
    state = collection.read_state(engine, name)

    def write(part: Sequence[Record], version: int) -> None:
        work = Ingest(engine, name, state, Whole(), vectors, lambda place, sentence: None)
        work.run((one.id, versioned(one, version)) for one in part)

    write(documents, 0)
    stop, seen = threading.Event(), [Outcome(0, 0, 0, 0, 0, 0) for _ in range(searchers)]

    failures: list[Exception] = []

    def look(outcome: Outcome, first: int) -> None:
        try:
            look_on(outcome, first)
        except Exception as error:
            failures.append(error)

    def look_on(outcome: Outcome, first: int) -> None:
        searcher = Searcher(Engine(Access(uri)))
        at = first
        while not stop.is_set():
            document = documents[at % len(documents)]
            found = _find(searcher, document)
            outcome.searches += 1
            outcome.missing += found is None
            outcome.torn += found is not None and found[0] != found[1]
            at += 1
        searcher.close()

    threads = [threading.Thread(target=look, args=(seen[at], at)) for at in range(searchers)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    newest = dict.fromkeys((one.id for one in documents), 0)
    for turn in range(-(-updates // BATCH)):
        part = [documents[at % len(documents)] for at in range(turn * BATCH, min((turn + 1) * BATCH, updates))]
        write(part, turn + 1)
        newest.update({one.id: turn + 1 for one in part})
        advance("updates", min((turn + 1) * BATCH, updates), updates)
    seconds = time.perf_counter() - started
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    searcher = Searcher(engine)
    lost = sum(_find(searcher, one) != (str(newest[one.id]),) * 2 for one in documents)
    searcher.close()
    searches, missing, torn = (sum(getattr(one, part) for one in seen) for part in ("searches", "missing", "torn"))
    return Outcome(updates, seconds, searches, missing, torn, lost)


def _find(searcher: Searcher, document: Record) -> tuple[str, str] | None:
    """The versions in title and body of a document as a search finds it."""
    query = f"{document.id} 안내 문서"
    (found,) = searcher.search([query], vectors([query]), [DocumentOptions(20)], timeout=60)
    for one in found:
        if one.id == document.id:
            return one.title.split()[-1].removesuffix("판"), one.snippet.split()[-1].removesuffix("판입니다.")
    return None
