"""Saving, deleting and restoring: what each call leaves in the catalog and in the history, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service

from store.errors import ConflictError, InvalidError, NotFoundError, StoreError
from store.store import Store


def service(id: int, name: str, parent: int | None = None, path: str = "", *phrases: str) -> Service:
    texts = phrases or (f"{name} 하기",)
    return Service(id, parent, f"service-{id}", name, path or name, True, texts, "", ("SEARCH",), None)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store.open(database) as store:
        yield store


def paths(store: Store) -> dict[int, str]:
    return {entry.value.id: entry.value.path for entry in store.services()}


def problems(error: pytest.ExceptionInfo[InvalidError]) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in error.value.problems]


def test_a_saved_service_is_found_again_with_its_version_and_author(store: Store) -> None:
    made = store.save_service(service(1, "송금"), by="kim", expected=None)
    assert (made.version, made.changed_by) == (1, "kim")
    changed = store.save_service(replace(made.value, memo="급함"), by="lee", expected=1, note="메모")
    assert store.service(1) == changed
    assert (changed.key, changed.version, changed.value.memo) == (made.key, 2, "급함")
    assert changed.changed_at >= made.changed_at
    assert changed.changed_at.utcoffset() is not None
    last, first = store.history("service", made.key)
    assert (last.action, last.by, last.note, last.version) == ("change", "lee", "메모", 2)
    assert last.before == first.after
    assert last.after is not None
    assert last.after["memo"] == "급함"
    assert (first.action, first.before, first.number) == ("create", None, 1)
    assert store.revision() == last.number == 2


def test_what_was_saved_already_makes_no_new_version(store: Store) -> None:
    made = store.save_service(service(1, "송금"), by="kim", expected=None)
    assert store.save_service(made.value, by="lee", expected=1) == made
    assert len(store.history()) == 1


def test_who_edited_an_older_version_is_given_the_newer_one_and_overwrites_nothing(store: Store) -> None:
    made = store.save_service(service(1, "송금"), by="kim", expected=None)
    second = store.save_service(replace(made.value, memo="a"), by="kim", expected=1)
    with pytest.raises(ConflictError, match="version 2, by kim, not 1") as caught:
        store.save_service(replace(made.value, memo="b"), by="lee", expected=1)
    assert caught.value.current == second == store.service(1)
    with pytest.raises(ConflictError):
        store.delete_service(1, by="lee", expected=1)
    store.delete_service(1, by="kim", expected=2)
    with pytest.raises(ConflictError, match="deleted meanwhile") as caught:
        store.save_service(replace(made.value, memo="b"), by="lee", expected=2)
    assert caught.value.current is None
    with pytest.raises(NotFoundError):
        store.save_service(service(9, "없음"), by="lee", expected=1)
    assert [change.version for change in store.history("service", made.key)] == [3, 2, 1]
    assert store.had_service(1)
    assert not store.had_service(9)
    topic = store.save_null_topic(NullTopic("날씨", ("비",)), None, by="kim", expected=None)
    store.delete_null_topic(topic.key, by="kim", expected=1)
    assert store.had_null_topic(topic.key)
    assert not store.had_null_topic(made.key)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (service(1, "다른 것"), ("id", "taken")),
        (replace(service(3, "다른 것"), service_id="service-1"), ("service_id", "taken")),
        (service(3, "다른 것", parent=8), ("parent_id", "unknown_parent")),
        (service(3, "다른 것", parent=3), ("parent_id", "cycle")),
        (service(3, "날씨 알려 줘"), ("name", "service_is_null")),
        (service(3, "다른 것", None, "", "이것", "날씨 알려 줘"), ("phrases", "service_is_null")),
        (service(3, " "), ("name", "empty")),
        (service(3, "다른 것", None, "", "같은 것", "같은 것"), ("phrases", "twice")),
        (replace(service(3, "다른 것"), phrases=()), ("phrases", "too_few")),
        (replace(service(3, "다른 것"), threshold=1.5), ("threshold", "range")),
        (replace(service(-1, "다른 것")), ("id", "range")),
        (replace(service(3, "다른 것"), name="가" * 3000), ("name", "too_long")),
        (replace(service(3, "다른 것"), memo="\ud800"), ("memo", "surrogate")),
        (replace(service(3, "다른 것"), open="예"), ("open", "type")),  # type: ignore[arg-type]
    ],
)
def test_a_service_that_could_not_be_published_is_not_saved(
    wrong: Service, expected: tuple[str, str], store: Store
) -> None:
    store.save_service(service(1, "송금"), by="kim", expected=None)
    store.save_null_topic(NullTopic("날씨", ("날씨 알려 줘",)), None, by="kim", expected=None)
    with pytest.raises(InvalidError) as caught:
        store.save_service(wrong, by="kim", expected=None)
    assert expected in problems(caught)
    assert str(caught.value)
    assert len(store.services()) == 1
    assert len(store.history()) == 2


def test_a_move_below_one_s_own_child_is_refused(store: Store) -> None:
    store.save_service(service(1, "송금"), by="kim", expected=None)
    store.save_service(service(2, "계좌", 1), by="kim", expected=None)
    with pytest.raises(InvalidError) as caught:
        store.save_service(replace(store.service(1).value, parent_id=2), by="kim", expected=1)
    assert problems(caught) == [("parent_id", "cycle")]


def test_a_null_phrase_that_a_service_answers_is_refused_and_names_the_service(store: Store) -> None:
    made = store.save_service(service(1, "송금"), by="kim", expected=None)
    with pytest.raises(InvalidError, match="service 1") as caught:
        store.save_null_topic(NullTopic("놀이", ("송금 하기",)), None, by="kim", expected=None)
    (problem,) = caught.value.problems
    assert (problem.field, problem.code, problem.value) == ("phrases", "null_is_service", "송금 하기")
    assert problem.params["other"] == made.key


def test_null_topics_are_saved_changed_deleted_and_restored_by_key(store: Store) -> None:
    made = store.save_null_topic(NullTopic("날씨", ("비 와?",)), None, by="kim", expected=None)
    with pytest.raises(InvalidError) as caught:
        store.save_null_topic(NullTopic("날씨", ("눈 와?",)), None, by="kim", expected=None)
    assert problems(caught) == [("name", "name_taken")]
    renamed = store.save_null_topic(NullTopic("기상", ("비 와?",)), made.key, by="kim", expected=1)
    assert store.null_topics() == [renamed]
    with pytest.raises(ConflictError):
        store.delete_null_topic(made.key, by="kim", expected=1)
    store.delete_null_topic(made.key, by="kim", expected=2)
    with pytest.raises(NotFoundError):
        store.null_topic(made.key)
    back = store.restore(store.history("null_topic", made.key)[-1].number, by="lee")
    assert (back.key, back.version, back.value) == (made.key, 4, made.value)
    with pytest.raises(StoreError, match="neither a key nor"):
        store.save_null_topic(made.value, made.key, by="kim", expected=None)


def test_a_parent_is_not_deleted_under_its_children(store: Store) -> None:
    store.save_service(service(1, "송금"), by="kim", expected=None)
    store.save_service(service(2, "계좌", 1), by="kim", expected=None)
    with pytest.raises(InvalidError) as caught:
        store.delete_service(1, by="kim", expected=1)
    assert problems(caught) == [("id", "has_children")]
    store.delete_service(2, by="kim", expected=1)
    store.delete_service(1, by="kim", expected=1)
    assert store.services() == []


def test_a_renamed_service_takes_the_derived_paths_below_it_along_and_leaves_the_others(store: Store) -> None:
    for one in (service(1, "송금"), service(2, "계좌", 1, "송금 > 계좌"), service(3, "예약", 2, "송금 > 계좌 > 예약"),
                service(4, "모임", 1, "바로 가기"), service(5, "환전")):  # fmt: skip
        store.save_service(one, by="kim", expected=None)
    store.save_service(replace(store.service(1).value, name="보내기"), by="kim", expected=1)
    assert paths(store) == {1: "보내기", 2: "보내기 > 계좌", 3: "보내기 > 계좌 > 예약", 4: "바로 가기", 5: "환전"}
    assert [(change.name, change.note) for change in store.history(limit=3)] == [
        ("예약", "path follows service 1"), ("계좌", "path follows service 1"), ("보내기", "")
    ]  # fmt: skip
    store.save_service(replace(store.service(2).value, parent_id=5), by="kim", expected=2)
    assert paths(store) == {1: "보내기", 2: "환전 > 계좌", 3: "환전 > 계좌 > 예약", 4: "바로 가기", 5: "환전"}
    store.save_service(replace(store.service(2).value, name="통장", path="내 통장"), by="kim", expected=3)
    assert paths(store)[2] == "내 통장"  # it was edited


def test_restoring_brings_back_what_was_after_a_change_or_before_a_deletion(store: Store) -> None:
    first = store.save_service(service(1, "송금"), by="kim", expected=None)
    store.save_service(replace(first.value, memo="a"), by="kim", expected=1)
    assert store.restore(1, by="lee").value == first.value
    assert store.history(limit=1)[0].action == "restore"
    store.delete_service(1, by="kim", expected=3)
    back = store.restore(store.history(limit=1)[0].number, by="lee")
    assert (back.key, back.version, back.value) == (first.key, 5, first.value)
    store.delete_service(1, by="kim", expected=5)
    other = store.save_service(service(1, "다른 송금"), by="kim", expected=None)
    assert other.key != first.key
    with pytest.raises(InvalidError):  # the id is another service's now
        store.restore(1, by="lee")
    with pytest.raises(NotFoundError):
        store.restore(999, by="lee")


def test_an_id_that_a_service_had_is_not_proposed_again(store: Store) -> None:
    assert store.next_id() == 1
    store.save_service(service(7, "송금"), by="kim", expected=None)
    store.delete_service(7, by="kim", expected=1)
    assert store.next_id() == 8


def test_logins_and_publishes_stand_in_the_history_and_leave_the_catalog_s_revision(store: Store) -> None:
    store.save_service(service(1, "송금"), by="kim", expected=None)
    store.record("login", "account", "kim", by="kim", note="127.0.0.1")
    assert store.revision() == 1
    assert [change.action for change in store.history()] == ["login", "create"]
    assert [change.action for change in store.history("service")] == ["create"]
    assert [change.number for change in store.history(before=2)] == [1]
    for wrong in ({"by": ""}, {"by": "a\nb"}, {"by": "가" * 67}, {"note": "\ud800"}, {"note": "a" * 2001}):
        values: dict[str, Any] = {"by": "kim", **wrong}
        with pytest.raises(StoreError):
            store.record("login", "account", "kim", **values)
    assert len(store.history()) == 2


def test_what_has_changed_after_a_revision_and_who_published_is_found_without_reading_the_whole_history(
    store: Store,
) -> None:
    first, second = (store.save_service(service(id, name), by="kim", expected=None).key
                     for id, name in ((1, "송금"), (2, "환전")))  # fmt: skip
    store.record("publish", "catalog", "generation 1", by="kim")
    store.save_service(replace(store.service(2).value, memo="급함"), by="lee", expected=1)
    store.delete_service(1, by="lee", expected=1)
    assert store.changed_after(0) == {first, second}
    assert store.changed_after(4) == {first}
    assert store.changed_after(store.revision()) == set()
    assert [change.number for change in store.history(actions=["publish", "delete"])] == [5, 3]
    assert [change.number for change in store.history(kind="catalog", actions=["rollback"])] == []
