"""Only what a person kept gets into a catalog, and the rest of its file stays as it was, byte by byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from malgil_core.catalog import reading
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service

from export.__main__ import main
from export.suggest import database as by_database
from export.suggest import file
from export.suggest.proposals import Near, Proposal
from store.store import Store
from tests.conftest import CATALOG as FINANCE
from tests.malformed import BOUNDED, error_of, odd_json

PROPOSAL = Proposal(
    "돈 부치기", "good", Near("돈 보내기", 0.95123, "송금", "transfer"), Near("달러", 0.8, "환전", "exchange")
)


def write(path: Path, *kept: dict[str, Any]) -> Path:
    """A file of proposals."""
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in kept), encoding="utf-8")
    return path


def kept(phrase: str, service_id: str = "transfer", keep: bool = True) -> dict[str, Any]:
    return {"keep": keep, "service_id": service_id, "phrase": phrase, "verdict": "good"}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "finance.jsonl"
    path.write_bytes(FINANCE.read_bytes())
    return path


def test_nothing_is_kept_before_a_person_says_so(tmp_path: Path) -> None:
    path = tmp_path / "proposals.jsonl"
    path.write_text(file.lines("transfer", [PROPOSAL]), encoding="utf-8")
    assert file.read(path) == []
    path.write_text(path.read_text(encoding="utf-8").replace('"keep": false', '"keep": true'), encoding="utf-8")
    assert file.read(path) == [file.Kept(1, "transfer", "돈 부치기")]
    line = json.loads(path.read_bytes())
    assert line["own"] == {"phrase": "돈 보내기", "cosine": 0.9512, "name": "송금", "service_id": "transfer"}
    assert line["other"]["service_id"] == "exchange"


def test_kept_phrases_are_added_and_no_other_line_changes(tmp_path: Path, catalog: Path) -> None:
    before = catalog.read_bytes().split(b"\n")
    proposals = write(
        tmp_path / "p",
        kept("돈  부치기"),
        kept("안 쓸 문구", keep=False),
        kept("돈 쏘기"),
        kept("외화 바꾸는 곳", "exchange"),
    )
    accepted = file.accept(catalog, file.read(proposals), proposals)
    assert (accepted.phrases, accepted.services, accepted.notes) == (3, 2, [])
    after = catalog.read_bytes().split(b"\n")
    changed = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert len(changed) == 2
    services = {one.service_id: one for one in reading.read(catalog)}
    originals = {one.service_id: one for one in reading.read(FINANCE)}
    assert services["transfer"].phrases == (*originals["transfer"].phrases, "돈 부치기", "돈 쏘기")
    assert services["exchange"].phrases == (*originals["exchange"].phrases, "외화 바꾸는 곳")
    transfer = before[changed[0]].decode()
    assert after[changed[0]].decode() == transfer.replace('"], "memo"', '", "돈 부치기", "돈 쏘기"], "memo"')
    assert list(tmp_path.glob(".*")) == []


def test_line_ends_a_byte_order_mark_null_topics_and_permissions_stay(tmp_path: Path) -> None:
    line = json.loads(FINANCE.read_bytes().split(b"\n")[0])
    null = '{"null": true,  "name": "날씨", "phrases": ["오늘 날씨"]}'
    catalog = tmp_path / "c.jsonl"
    catalog.write_bytes(f"\ufeff{json.dumps(line, ensure_ascii=False)}\r\n\r\n{null}\r\n".encode())
    catalog.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(catalog)
    proposals = write(tmp_path / "p", kept("돈 부치기"))
    file.accept(link, file.read(proposals), proposals)
    line["phrases"].append("돈 부치기")
    assert catalog.read_bytes() == f"\ufeff{json.dumps(line, ensure_ascii=False)}\r\n\r\n{null}\r\n".encode()
    assert catalog.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()


def test_a_phrase_that_is_there_is_not_added_twice_and_one_of_another_service_is_noted(
    tmp_path: Path, catalog: Path
) -> None:
    proposals = write(
        tmp_path / "p", kept("이체"), kept("송금"), kept("돈 부치기"), kept("돈 부치기"), kept("계좌이체")
    )
    accepted = file.accept(catalog, file.read(proposals), proposals)
    assert accepted.phrases == 2
    assert [note.split(": ", 1)[1] for note in accepted.notes] == [
        '"이체" is there already', '"송금" is there already', '"돈 부치기" is there already',
        '"계좌이체" is a phrase of 계좌번호로 보내기, too',
    ]  # fmt: skip
    again = file.accept(catalog, file.read(proposals), proposals)
    assert again.phrases == 0


def test_a_catalog_is_left_alone_if_one_phrase_cannot_be_added(tmp_path: Path, catalog: Path) -> None:
    before = catalog.read_bytes()
    proposals = write(tmp_path / "p", kept("돈 부치기"), kept("문구", "no-such"))
    with pytest.raises(file.ProposalError, match=r'p:2: finance\.jsonl has no service "no-such"'):
        file.accept(catalog, file.read(proposals), proposals)
    write(proposals, kept("돈 부치기"), kept("가" * 3000))
    with pytest.raises(reading.CatalogError, match="at most 8192"):
        file.accept(catalog, file.read(proposals), proposals)
    write(proposals, kept("돈 부치기"), kept("\u200b"))
    with pytest.raises(reading.CatalogError, match="no visible character"):
        file.accept(catalog, file.read(proposals), proposals)
    assert catalog.read_bytes() == before


def test_a_null_phrase_cannot_become_a_phrase(tmp_path: Path, catalog: Path) -> None:
    with catalog.open("ab") as stream:
        stream.write('{"null": true, "name": "날씨", "phrases": ["오늘 날씨"]}\n'.encode())
    before = catalog.read_bytes()
    proposals = write(tmp_path / "p", kept("오늘 날씨"))
    with pytest.raises(reading.CatalogError, match="is a name or phrase of the service"):
        file.accept(catalog, file.read(proposals), proposals)
    assert catalog.read_bytes() == before


def test_what_somebody_saved_meanwhile_is_not_overwritten(
    tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposals = write(tmp_path / "p", kept("돈 부치기"))
    sync = os.fsync

    def saved_meanwhile(handle: int) -> None:
        sync(handle)
        catalog.write_bytes(FINANCE.read_bytes() + b"\n")

    monkeypatch.setattr(os, "fsync", saved_meanwhile)
    with pytest.raises(file.ProposalError, match="saved by somebody else meanwhile"):
        file.accept(catalog, file.read(proposals), proposals)
    assert catalog.read_bytes() == FINANCE.read_bytes() + b"\n"
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[]", "a proposal is"),
        ('{"keep": true, "phrase": "x"}', "a proposal is"),
        ('{"keep": "yes", "service_id": "x", "phrase": "x"}', 'keep is "yes": it must be true or false'),
        ('{"keep": 1, "service_id": "x", "phrase": "x"}', "keep is 1: it must be true or false"),
        ('{"keep": true, "service_id": 5, "phrase": "x"}', "service_id is 5: it must be a text"),
        ('{"keep": true, "service_id": "x", "phrase": " "}', "it must be a text that is not blank"),
        ('{"keep": true,}', "p:1: "),
    ],
)
def test_a_mistake_in_a_file_of_proposals_is_named_by_its_line(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "p").write_text(line, encoding="utf-8")
    with pytest.raises(file.ProposalError, match=sentence):
        file.read(tmp_path / "p")


@BOUNDED
@given(line=odd_json(kept("돈 부치기")))
def test_no_proposal_gets_past_its_check_broken(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "odd-proposals.jsonl"
    path.write_bytes(line)
    catalog = path.with_name("odd-catalog.jsonl")
    catalog.write_bytes(FINANCE.read_bytes())

    def use(found: list[file.Kept]) -> None:
        error_of(lambda: file.accept(catalog, found, path), (file.ProposalError, reading.CatalogError))
        reading.read(catalog)

    error_of(lambda: file.read(path), file.ProposalError, use)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store.open(database)
    opened.replace(FINANCE.read_bytes(), "finance.jsonl", by="import")
    yield opened
    opened.close()


def test_kept_phrases_are_saved_in_a_database_with_who_and_the_rest_stays(
    tmp_path: Path, database: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    proposals = write(tmp_path / "p", kept("돈 부치기"), kept("외화 바꾸는 곳", "exchange"), kept("이체"))
    assert main(["suggest", "accept", database, str(proposals), "--by", "minji"]) == 0
    out = capsys.readouterr().out
    assert "2 phrases added to 2 services; nothing is published yet" in out
    assert '"이체" is there already' in out
    services = {stored.value.service_id: stored for stored in store.services()}
    assert services["transfer"].value.phrases[-1] == "돈 부치기"
    assert services["exchange"].value.phrases[-1] == "외화 바꾸는 곳"
    changes = store.history(kind="service", limit=2)
    assert {(change.by, change.note, change.action) for change in changes} == {("minji", "제안", "change")}
    lines = zip(store.dump().split(b"\n"), FINANCE.read_bytes().split(b"\n"), strict=True)
    assert sum(new != old for new, old in lines) == 2
    revision = store.revision()
    assert main(["suggest", "accept", database, str(proposals)]) == 0
    assert store.revision() == revision


def test_a_database_is_left_alone_if_one_phrase_cannot_be_added(
    tmp_path: Path, database: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save_null_topic(NullTopic("날씨", ("오늘 날씨",)), None, by="test", expected=None)
    revision = store.revision()
    for bad in (kept("문구", "no-such"), kept("오늘 날씨", "exchange"), kept("가" * 3000), kept("\u200b")):
        proposals = write(tmp_path / "p", kept("돈 부치기"), bad)
        assert main(["suggest", "accept", database, str(proposals)]) == 1
        assert "Traceback" not in capsys.readouterr().err
    assert store.revision() == revision


def test_what_others_save_in_a_database_meanwhile_stays(
    tmp_path: Path, store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposals = write(tmp_path / "p", kept("돈 부치기"))
    save, times = Store.save_service, list[int]()

    def meanwhile(self: Store, service: Service, **more: Any) -> Any:
        if not times:
            times.append(1)
            stored = self.service(service.id)
            save(self, replace(stored.value, memo="그사이"), by="junho", expected=stored.version)
        return save(self, service, **more)

    monkeypatch.setattr(Store, "save_service", meanwhile)
    by_database.accept(database, file.read(proposals), proposals, "minji")
    saved = next(one.value for one in store.services() if one.value.service_id == "transfer")
    assert (saved.memo, saved.phrases[-1]) == ("그사이", "돈 부치기")


def test_no_database_is_made_by_a_mistake_in_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proposals = write(tmp_path / "p", kept("돈 부치기"))
    assert main(["suggest", "accept", f"sqlite:///{tmp_path}/typo.db", str(proposals)]) == 1
    assert "typo.db" in capsys.readouterr().err
    assert not (tmp_path / "typo.db").exists()
    assert main(["suggest", "accept", str(tmp_path / "c.jsonl"), str(proposals), "--by", "minji"]) == 2
    assert "--by is for a database" in capsys.readouterr().err
