"""A few documents, a collection of them, and questions to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from malgil_core.documents.filters import parse_filter
from malgil_core.documents.types import Document, DocumentOptions
from malgil_core.encoder import EncoderMetadata

from documents import collection, schema
from documents.collection import State
from documents.engine import Engine
from documents.ingest import Embed, Ingest, Report, remove
from documents.passages import Splitter
from documents.records import Record, record
from documents.search import Searcher

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "limit", "title": "이체 한도 올리기", "category": "송금", "surfaces": ["HELP", "SEARCH"],
     "body": "하루 이체 한도는 설정에서 바꿉니다. 신분증이 필요합니다.", "updated_at": "2025-03-01",
     "url": "https://help.example.com/limit", "service_ids": ["transfer-limit"]},
    {"id": "lost", "title": "카드 분실 신고", "category": "카드", "surfaces": ["HELP"],
     "body": "카드를 잃어버리면 바로 정지하세요. 새 카드는 사흘 안에 옵니다.", "updated_at": "2024-11-30"},
    {"id": "fee", "title": "송금 수수료", "category": "송금", "surfaces": ["SEARCH"],
     "body": "다른 은행으로 보내도 수수료가 없습니다."},
    {"id": "closed", "title": "예전 수수료 안내", "category": "송금", "surfaces": ["HELP"], "open": False,
     "body": "예전에는 수수료가 오백 원이었습니다."},
]  # fmt: skip


class Corpus:
    """A collection of an engine, with what writes into it and what asks it."""

    def __init__(
        self, engine: Engine, alias: str, encoder: EncoderMetadata, splitter: Splitter, embed: Callable[[str], Embed]
    ) -> None:
        self.engine, self.alias, self.splitter, self.embed = engine, alias, splitter, embed
        self.refused: list[str] = []
        self.encoder = encoder
        self.name = self.create()
        collection.point(engine, alias, self.name)
        self.searcher = Searcher(engine, encoder.fingerprint, alias)

    def create(self) -> str:
        """A new collection of the alias, which it does not name yet."""
        return collection.create(
            self.engine, State(self.encoder.fingerprint, self.encoder.dimension, self.splitter.tokens), self.alias
        )

    def ingest(self, *documents: dict[str, Any], embed: Embed | None = None, name: str | None = None) -> Report:
        """Write documents."""
        name = name or self.name
        work = Ingest(
            self.engine, name, collection.read_state(self.engine, name), self.splitter,
            embed or self.embed("passage"), lambda place, sentence: self.refused.append(f"{place}: {sentence}"),
            embed_phrases=embed or self.embed("phrase"),
        )  # fmt: skip
        records: Sequence[tuple[str, Record]] = [(one["id"], record(one)) for one in documents]
        return work.run(records)

    def reset(self) -> None:
        """Hold DOCUMENTS and nothing else."""
        state = collection.read_state(self.engine, self.name)
        stored = {row["document_key"] for row in self.engine.rows(self.name, ["document_key"])}
        if others := stored - {schema.key(one["id"]) for one in DOCUMENTS}:
            remove(self.engine, self.name, state, sorted(others))
            collection.write_state(self.engine, self.name, state)
        self.ingest(*DOCUMENTS)

    def search(self, query: str, chosen: str = "", top_k: int = 5) -> list[Document]:
        """The documents for one query."""
        options = DocumentOptions(top_k, parse_filter(chosen))
        return self.searcher.search([query], self.embed("query")([query]), [options], timeout=30)[0]

    def ids(self, query: str, chosen: str = "") -> list[str]:
        """Their ids."""
        return [document.id for document in self.search(query, chosen)]
