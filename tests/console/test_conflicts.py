"""Two people edit the same service: the second sees what the first saved, and nothing of either is lost."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest

from console.app import Console
from console.conflicts import compare
from console.forms.fields import merged_lines
from store.store import Store
from tests.console.conftest import Person, fields

PATH = "/services/103"


@pytest.fixture
def two(app: Console, account: Callable[[str, str], str]) -> tuple[Person, Person]:
    """Two people who are logged in."""
    people = []
    for name in ("minji", "junho"):
        account(name, "edit")
        person = Person(app)
        person.log_in(name)
        people.append(person)
    return people[0], people[1]


def test_the_second_to_save_sees_field_by_field_and_saves_both(two: tuple[Person, Person], store: Store) -> None:
    first, second = two
    base = first.form(PATH)
    mine = second.form(PATH)
    first.send(PATH, {**base, "memo": "민지의 메모", "phrases": base["phrases"] + "\n민지의 문장", "threshold": "0.5"})
    conflict = second.send(
        PATH, {**mine, "memo": "준호의 메모", "phrases": mine["phrases"] + "\n준호의 문장", "name": "예약"}
    )
    assert conflict.status_code == 409
    html = unescape(conflict.text)
    assert "minji 님이" in html
    for text in ("민지의 메모", "준호의 메모", "민지의 문장", "준호의 문장"):
        assert text in html
    assert store.service(103).value.memo == "민지의 메모"
    form = fields(conflict.text, PATH)
    assert form["choice.name"] == "mine"
    assert form["choice.threshold"] == "theirs"
    assert form["choice.phrases"] == "both"
    assert "choice.service_id" not in form
    assert second.http.post(PATH, data={**form, "choice.memo": "theirs"}).status_code == 303
    saved = store.service(103)
    assert (saved.value.name, saved.value.memo, saved.value.threshold) == ("예약", "민지의 메모", 0.5)
    assert saved.value.phrases[-2:] == ("민지의 문장", "준호의 문장")
    assert saved.value.path == "송금 > 예약"
    assert saved.changed_by == "junho"


def test_a_third_save_while_one_chooses_is_a_conflict_again_with_the_choice_kept(
    two: tuple[Person, Person], store: Store
) -> None:
    first, second = two
    mine = second.form(PATH)
    first.send(PATH, {**first.form(PATH), "memo": "하나"})
    form = fields(second.send(PATH, {**mine, "memo": "나"}).text, PATH)
    first.send(PATH, {**first.form(PATH), "memo": "둘"})
    again = second.http.post(PATH, data={**form, "choice.memo": "mine"})
    assert again.status_code == 409
    assert store.service(103).value.memo == "둘"
    form = fields(again.text, PATH)
    assert form["memo"] == "나"
    assert second.http.post(PATH, data={**form, "choice.memo": "mine"}).status_code == 303
    assert store.service(103).value.memo == "나"


def test_what_was_typed_for_a_service_that_was_deleted_meanwhile_can_be_created_again(
    two: tuple[Person, Person], store: Store
) -> None:
    first, second = two
    mine = second.form(PATH)
    first.send(f"{PATH}/delete", {"version": mine["version"]})
    conflict = second.send(PATH, {**mine, "memo": "쓰던 메모"})
    assert conflict.status_code == 409
    assert "지웠어요" in conflict.text
    assert "쓰던 메모" in conflict.text
    assert second.http.post(PATH, data=fields(conflict.text, PATH)).status_code == 303
    assert store.service(103).value.memo == "쓰던 메모"


def test_two_people_edit_the_same_null_topic(two: tuple[Person, Person], store: Store) -> None:
    first, second = two
    path = first.send("/null-topics/new", {"name": "날씨", "phrases": "오늘 날씨"}).headers["location"].split("?")[0]
    key = int(path.rsplit("/", maxsplit=1)[1])
    mine = second.form(path)
    first.send(path, {**first.form(path), "phrases": "오늘 날씨\n비 와?"})
    conflict = second.send(path, {**mine, "phrases": "오늘 날씨\n눈 와?"})
    assert conflict.status_code == 409
    assert second.http.post(path, data=fields(conflict.text, path)).status_code == 303
    assert store.null_topic(key).value.phrases == ("오늘 날씨", "비 와?", "눈 와?")


def test_a_form_for_what_never_was_blames_nobody_for_its_deletion(two: tuple[Person, Person], store: Store) -> None:
    _, second = two
    before = store.revision()
    for path in ("/services/777777", "/null-topics/777777"):
        missing = second.send(path, {"name": "쓰던 이름", "version": "1", "service_id": "x", "phrases": "쓰던 문장"})
        assert missing.status_code == 404
        assert "있었던 적이 없어요" in missing.text
        assert "지웠" not in missing.text
        assert "뒤로 가기" in missing.text
    assert store.revision() == before


def test_lists_of_two_people_are_merged_by_what_each_added_and_removed() -> None:
    assert merged_lines(["a", "b"], ["a", "c"], ["a", "b", "d"]) == ("a", "d", "c")
    assert merged_lines([], ["a"], ["a", "b"]) == ("a", "b")
    assert merged_lines(["a", "b"], ["b"], ["a"]) == ()


def test_without_the_history_of_the_first_version_mine_is_marked_and_nothing_hidden() -> None:
    mine, theirs = {"name": "a", "phrases": ("x", "y")}, {"name": "b", "phrases": ("x", "z")}
    found = {difference.field: difference for difference in compare(None, mine, theirs)}
    assert found["name"].chosen == "mine"
    assert found["phrases"].both == "x\nz\ny"
