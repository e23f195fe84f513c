"""Suggestions over a draft that the running server embeds: the encoder's verdicts, and only new texts are embedded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from console.app import make_app
from console.draft import Draft
from console.settings import Settings
from console.suggestions import Suggestions
from export.catalog.access import Access
from server.launcher import Server
from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS
from tests.console.conftest import SECRET, Person
from tests.llm import endpoint, saying

PHRASES = ["계좌이체로 송금하기", "내일 비가 올까?", "환전하는 메뉴 어디 있어?"]


def test_the_encoder_tells_good_phrases_from_those_of_other_services(
    server: Server, repository: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"sqlite:///{tmp_path}/console.db"
    settings = Settings(database, index, repository, Access(server.grpc_url), tmp_path / "secret")
    store = Store.open(database)
    store.replace(CATALOG.read_bytes(), "finance.jsonl", by="import")
    draft = Draft(store, settings.access.client, index, repository, (NULL_TOPICS,))
    draft.refresh()
    assert draft.state.problem is None
    with endpoint(saying(json.dumps({"phrases": PHRASES}, ensure_ascii=False))) as llm:
        suggestions = Suggestions.of(draft, {"MALGIL_LLM_URL": llm.url, "MALGIL_LLM_MODEL": "m"})
        assert suggestions
        me = Person(make_app(settings, store, SECRET, draft, suggestions=suggestions))
        exchange = next(stored for stored in store.services() if stored.value.service_id == "exchange")
        path = f"/suggest/{exchange.value.id}"
        embedded: list[str] = []
        embed = draft.client.embed

        def noted(texts: Sequence[str], **more: Any) -> Any:
            embedded.extend(texts)
            return embed(texts, **more)

        monkeypatch.setattr(draft.client, "embed", noted)
        me.send(path, {"count": "5"})
        suggestions.wait(exchange.key)
        assert sorted(embedded) == sorted(PHRASES)
        found = {one.text: one for one in suggestions.of_service(exchange.key).proposals}
        assert [found[text].verdict for text in PHRASES] == ["nearer_other", "nearer_null", "good"]
        html = me.page(path)
        assert html.index(PHRASES[2]) < html.index(PHRASES[0])
        assert "이 서비스보다 ‘앱에 없는 것’ 주제" in html
        form = {"proposal": PHRASES[2], "phrase": PHRASES[2], "version": str(exchange.version)}
        warned = me.send(f"{path}/check", {**form, "phrase": "계좌이체"})
        assert "다른 서비스에 같은 문장이 있어요" in warned.text
        assert me.send(f"{path}/accept", form).status_code == 303
    assert store.service(exchange.value.id).value.phrases[-1] == PHRASES[2]
    draft.stop()
    store.close()
