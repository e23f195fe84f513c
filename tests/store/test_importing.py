"""Import and export of catalog files: nothing of them is lost, neither way."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.reading import parse_catalog

from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store.open(database) as store:
        yield store


def line(id: int, name: str, **fields: Any) -> str:
    service = {"id": id, "service_id": str(id), "name": name, "path": name, "open": True, "phrases": [f"{name} 하기"]}
    return json.dumps({**service, **fields}, ensure_ascii=False)


ONE, TWO, THREE = line(1, "송금"), line(2, "환전"), line(3, "적금")
TOPIC = '{"null": true, "name": "날씨", "phrases": ["비 와?"]}'


def test_the_sample_files_come_back_byte_for_byte(store: Store) -> None:
    services, topics = CATALOG.read_bytes(), NULL_TOPICS.read_bytes()
    for content in (services, topics, topics + services):
        store.replace(content, "sample.jsonl", by="kim")
        assert store.dump() == content
    assert store.catalog() == parse_catalog(topics + services, "")


@pytest.mark.parametrize(
    "content",
    [
        ONE,  # no line end
        f"{ONE}\n",
        f"\ufeff{ONE}\r\n{TWO}\r\n",
        f"\n \n{ONE}\n\n\t\n{TOPIC}\n{TWO}\n\n \n",
        f"  {ONE}  \n",
        ONE.replace('"송금"', '"\\uc1a1\\u0000금"'),
        ONE.replace("송금", "\u1109\u1169\u11bc금"),  # decomposed
        ONE.replace('"open": true', '"open":true, "threshold": 0.700'),
        ONE.replace('"id": 1', '"id": 9007199254740991'),
        f'{TOPIC}\n{{"null" : true, "phrases":["눈 와?"], "name":"눈"}}',
    ],
)
def test_an_odd_but_valid_file_comes_back_byte_for_byte(content: str, store: Store) -> None:
    store.replace(content.encode(), "odd.jsonl", by="kim")
    assert store.dump() == content.encode()
    assert store.replace(content.encode(), "odd.jsonl", by="kim").added == ()


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12).map(
    lambda t: f"가{t}"
)
SPACE = st.sampled_from(["", " ", "\t", "\r", " \r"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A valid catalog in any formatting that JSON allows."""
    lines = []
    for id in range(1, draw(st.integers(1, 5)) + 1):
        fields: dict[str, Any] = {
            "id": id, "service_id": f"s{id}", "name": draw(TEXTS), "path": draw(TEXTS), "open": draw(st.booleans()),
            "phrases": [f"{id}{draw(TEXTS)}"],
        }  # fmt: skip
        optional = {
            "parent_id": st.sampled_from([None, *range(1, id)]), "memo": st.sampled_from(["", "메모", "a\x00\u2028b"]),
            "surfaces": st.sampled_from([[], ["SEARCH"]]), "threshold": st.sampled_from([None, -1, 1, 0.5, 0.1 + 0.2]),
        }  # fmt: skip
        fields |= {name: draw(values) for name, values in optional.items() if draw(st.booleans())}
        order = draw(st.permutations(list(fields)))
        separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,", " : ")]))
        text = json.dumps({name: fields[name] for name in order}, ensure_ascii=draw(st.booleans()),
                          separators=separators)  # fmt: skip
        lines.append(f"{draw(SPACE).strip(chr(13))}{text}{draw(SPACE)}")
        lines += draw(st.lists(SPACE, max_size=2))
    head = draw(st.sampled_from(["", "\ufeff", "\n", "\ufeff\r\n"]))
    return (head + "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))).encode()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store: to make its tables takes longer than to copy it."""
    file = tmp_path_factory.mktemp("empty") / "catalog.db"
    Store.open(f"sqlite:///{file}").close()
    return file


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contents=st.lists(files(), min_size=2, max_size=3))
def test_any_valid_file_comes_back_after_any_other_and_a_line_that_was_changed_back_is_the_old_one(
    empty: Path, contents: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{shutil.copy(empty, folder)}") as store:
        for content in contents:
            store.replace(content, "any.jsonl", by="kim")
            assert store.dump() == content
            assert store.catalog() == parse_catalog(content, "")
        first = store.services()[0]
        store.save_service(replace(first.value, memo="다른 메모"), by="kim", expected=first.version)
        changed = parse_catalog(store.dump(), "")
        assert changed == store.catalog()
        assert changed.services[0].memo == "다른 메모"
        store.save_service(first.value, by="kim", expected=first.version + 1)
        assert store.dump() == contents[-1]


def test_a_changed_line_keeps_the_order_of_its_fields_and_what_it_leaves_out(store: Store) -> None:
    source = '{"name":"송금", "id":1, "phrases":["이체"], "open":true, "path":"송금", "service_id":"a"}\r'
    store.replace(f"{source}\n{TWO}\n".encode(), "a.jsonl", by="kim")
    store.save_service(replace(store.service(1).value, threshold=0.5), by="kim", expected=1)
    first, *rest = store.dump().decode().split("\n")
    assert first.startswith('{"name": "송금", "id": 1, "phrases": ["이체"], "open": true, ')
    assert first.endswith('"송금", "service_id": "a", "threshold": 0.5}\r')
    assert rest == [TWO, ""]


def test_an_import_tells_what_it_does_and_history_has_each_entry_of_it(store: Store) -> None:
    store.replace(f"{ONE}\n{TWO}\n{TOPIC}\n".encode(), "a.jsonl", by="kim")
    keys = {entry.value.id: entry.key for entry in store.services()}
    other = TWO.replace("환전 하기", "달러 사기")
    report = store.replace(f"{THREE}\n{other}\n{TOPIC}\n".encode(), "b.jsonl", by="lee")
    assert (report.added, report.changed, report.removed, report.unchanged) == (
        ("적금",),
        ("환전",),
        ("송금",),
        ("날씨",),
    )
    assert str(report) == "1 added, 1 changed, 1 removed, 1 unchanged"
    assert store.service(2).key == keys[2]
    assert (store.service(2).version, store.service(2).changed_by) == (2, "lee")
    (last, *entries) = store.history(limit=4)
    assert (last.kind, last.name, last.note, last.number) == ("catalog", "b.jsonl", str(report), store.revision())
    assert {(change.name, change.action, change.version) for change in entries} == {
        ("적금", "import", 1), ("환전", "import", 2), ("송금", "import", 2)
    }  # fmt: skip
    removed = next(change for change in entries if change.name == "송금")
    assert store.restore(removed.number, by="lee").key == keys[1]
    assert {one.value.id for one in store.services()} == {1, 2, 3}


def test_the_same_file_again_leaves_no_trace_and_another_order_is_kept(store: Store) -> None:
    store.replace(f"{ONE}\n{TWO}\n".encode(), "a.jsonl", by="kim")
    revision = store.revision()
    store.replace(f"{ONE}\n{TWO}\n".encode(), "a.jsonl", by="kim")
    assert (store.revision(), len(store.history())) == (revision, revision)
    report = store.replace(f"{TWO}\n{ONE}\n".encode(), "a.jsonl", by="kim")
    assert report.unchanged == ("환전", "송금")
    assert store.dump() == f"{TWO}\n{ONE}\n".encode()
    assert [entry.version for entry in store.services()] == [1, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"^a\.jsonl: no services and no null topics$"),
        (f"{ONE}\n{ONE}\n".encode(), r"^a\.jsonl:2: id 1 stands in line 1 already"),
        (f"{ONE}\n\n{{}}".encode(), r"^a\.jsonl:3: id is missing"),
        (b"\xff\n", r"^a\.jsonl:1: not UTF-8"),
    ],
)
def test_a_file_with_mistakes_changes_nothing_and_each_is_named_by_its_line(
    content: bytes, sentence: str, store: Store
) -> None:
    store.replace(TWO.encode(), "good.jsonl", by="kim")
    with pytest.raises(CatalogError, match=sentence):
        store.replace(content, "a.jsonl", by="kim")
    assert store.dump() == TWO.encode()


def test_new_entries_stand_behind_the_others_and_the_file_can_be_read_again(store: Store, tmp_path: Path) -> None:
    store.replace(f"{ONE}\n\n{TOPIC}".encode(), "a.jsonl", by="kim")
    store.save_service(replace(store.service(1).value, id=5, service_id="5", name="적금"), by="kim", expected=None)
    assert store.dump().decode().startswith(f'{ONE}\n\n{TOPIC}\n{{"id": 5, ')
    assert parse_catalog(store.dump(), "") == store.catalog()
