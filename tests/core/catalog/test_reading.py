"""Reading a catalogue: what a planner wrote comes through, and every mistake is named by its line."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.catalog.reading import CatalogError, Service, parse, read

NOTHING = object()  # the field is left out


def line(number: int = 1, **fields: Any) -> bytes:
    """One line of a catalogue, right but for `fields`."""
    service = {
        "id": number,
        "parent_id": None,
        "service_id": f"service-{number}",
        "name": f"이름 {number}",
        "path": f"전체 > 이름 {number}",
        "open": True,
        "phrases": ["이체"],
        "memo": "",
        "surfaces": ["SEARCH"],
        "threshold": None,
    } | fields
    return json.dumps({name: value for name, value in service.items() if value is not NOTHING}).encode()


def problems(*lines: bytes) -> list[str]:
    """What is said of a catalogue."""
    with pytest.raises(CatalogError) as error:
        parse(b"\n".join(lines), "c.jsonl")
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


def test_a_service_comes_through_as_it_was_written() -> None:
    written = line(12, parent_id=3, phrases=["이체", "돈 보내기"], memo="메모", threshold=0.87, open=False)
    assert parse(line(3) + b"\n" + written, "")[1] == Service(
        id=12,
        parent_id=3,
        service_id="service-12",
        name="이름 12",
        path="전체 > 이름 12",
        open=False,
        phrases=("이체", "돈 보내기"),
        memo="메모",
        surfaces=("SEARCH",),
        threshold=0.87,
    )


def test_fields_that_most_services_leave_empty_can_be_left_out() -> None:
    (service,) = parse(line(parent_id=NOTHING, memo=NOTHING, surfaces=NOTHING, threshold=NOTHING), "")
    assert (service.parent_id, service.memo, service.surfaces, service.threshold) == (None, "", (), None)


def test_the_name_is_matched_too() -> None:
    assert parse(line(name="송금", phrases=["이체"]), "")[0].texts == ("송금", "이체")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"id": NOTHING}, "id is missing"),
        ({"service_id": NOTHING}, "service_id is missing"),
        ({"name": NOTHING}, "name is missing"),
        ({"path": NOTHING}, "path is missing"),
        ({"open": NOTHING}, "open is missing"),
        ({"phrases": NOTHING}, "phrases is missing"),
        ({"id": "1"}, 'id is "1": it must be a whole number from 0 to 9223372036854775807'),
        ({"id": 1.0}, "id is 1.0: it must be a whole number from 0 to 9223372036854775807"),
        ({"id": True}, "id is true: it must be a whole number from 0 to 9223372036854775807"),
        ({"id": -1}, "id is -1: it must be a whole number from 0 to 9223372036854775807"),
        ({"id": 2**63}, "id is 9223372036854775808: it must be a whole number from 0 to 9223372036854775807"),
        ({"parent_id": "0"}, 'parent_id is "0": it must be a whole number from 0 to 9223372036854775807'),
        ({"service_id": 7}, "service_id is 7: it must be a text"),
        ({"service_id": ""}, "service_id is empty"),
        ({"name": None}, "name is null: it must be a text"),
        ({"name": " \u3000"}, "name is empty"),
        ({"name": "가" * 2731}, "name is 8193 bytes long: at most 8192 are taken"),
        ({"path": ["전체"]}, 'path is ["전체"]: it must be a text'),
        ({"memo": 0}, "memo is 0: it must be a text"),
        ({"open": "true"}, 'open is "true": it must be true or false'),
        ({"open": 1}, "open is 1: it must be true or false"),
        ({"phrases": []}, "phrases is empty: at least 1 is needed"),
        ({"phrases": "이체"}, 'phrases is "이체": it must be a list of texts'),
        ({"phrases": ["이체", " "]}, "phrases number 2 is empty"),
        ({"phrases": ["이체", 3]}, "phrases number 2 is 3: it must be a text"),
        ({"phrases": ["가", "나", "가"]}, 'phrases number 3 is "가", which stands there already'),
        (
            {"phrases": ["각", "\u1100\u1161\u11a8"]},
            'phrases number 2 is "\u1100\u1161\u11a8", which stands there already',
        ),
        ({"phrases": ["\ud83d"]}, 'phrases number 1 is "\\ud83d": it holds half a surrogate pair'),
        ({"surfaces": None}, "surfaces is null: it must be a list of texts"),
        ({"surfaces": [""]}, "surfaces number 1 is empty"),
        ({"threshold": 1.5}, "threshold is 1.5: it must be from -1 to 1, or null"),
        ({"threshold": -1.01}, "threshold is -1.01: it must be from -1 to 1, or null"),
        ({"threshold": float("nan")}, "threshold is NaN: it must be from -1 to 1, or null"),
        ({"threshold": float("inf")}, "threshold is Infinity: it must be from -1 to 1, or null"),
        ({"threshold": True}, "threshold is true: it must be from -1 to 1, or null"),
        ({"threshold": "0.7"}, 'threshold is "0.7": it must be from -1 to 1, or null'),
        ({"parent_id": 9}, "parent_id 9 is no service's id"),
        ({"parent_id": 1}, "parent_id 1 makes a cycle: 1 → 1"),
    ],
)
def test_a_mistake_is_named_by_its_line_its_field_and_what_is_wanted(fields: dict[str, Any], said: str) -> None:
    assert problems(line(5), line(1, **fields)) == [f"c.jsonl:2: {said}"]


def test_a_misspelt_field_is_not_silently_dropped() -> None:
    assert problems(line(treshold=0.7)) == [
        "c.jsonl:1: unknown field 'treshold'; the fields are id, parent_id, service_id, name, path, open, phrases, "
        "memo, surfaces, threshold"
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": 1', "not JSON: Expecting ',' delimiter at column 9"),
        (b"id,name", "not JSON: Expecting value at column 1"),
        (b"[]", "a service is an object, not list"),
        (b"null", "a service is an object, not NoneType"),
        (b'{"id": "\xff"}', "not UTF-8: invalid start byte at byte 8"),
        ("이체".encode("cp949"), "not UTF-8: invalid start byte at byte 0"),
        (json.dumps("이체").encode("utf-16"), "not UTF-8: invalid start byte at byte 0"),
    ],
)
def test_a_line_that_is_no_service_is_named(content: bytes, said: str) -> None:
    first, *_ = problems(line(5), content)
    assert first == f"c.jsonl:2: {said}"


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"id": ' + b"9" * 5000 + b"}", b'{"a":' * 100_000])
def test_a_line_that_python_s_reader_gives_up_on_is_named_like_any_other(content: bytes) -> None:
    (said,) = problems(content)
    assert said.startswith("c.jsonl:1: ")
    assert len(said) < 300


def test_a_long_value_does_not_hide_what_is_wrong_with_it() -> None:
    (said,) = problems(line(open="아주 긴 글 " * 500))
    assert len(said) < 150
    assert said.endswith("...: it must be true or false")


def test_two_services_never_share_an_id() -> None:
    assert problems(line(1), line(1, service_id="other"), line(2), line(2, service_id="service-1")) == [
        "c.jsonl:2: id 1 stands in line 1 already",
        "c.jsonl:4: id 2 stands in line 3 already",
        'c.jsonl:4: service_id "service-1" stands in line 1 already',
    ]


def test_a_cycle_of_parents_is_named_once() -> None:
    above = line(4, parent_id=1)  # leads into the cycle, and is not in it
    assert problems(line(1, parent_id=2), line(2, parent_id=3), line(3, parent_id=1), above, line(5)) == [
        "c.jsonl:1: parent_id 2 makes a cycle: 1 → 2 → 3 → 1"
    ]
    assert problems(above, line(1, parent_id=2), line(2, parent_id=3), line(3, parent_id=1)) == [
        "c.jsonl:1: parent_id 1 makes a cycle: 1 → 2 → 3 → 1"
    ]


def test_all_mistakes_are_named_at_once() -> None:
    said = problems(line(1, open=0), b"{", line(2, phrases=[]), line(3), line(3), line(4, parent_id=99))
    assert [re.match(r"c\.jsonl:(\d+): ", text)[1] for text in said] == ["1", "2", "3", "5", "5", "6"]  # type: ignore[index]


def test_a_parent_may_stand_below_its_children() -> None:
    assert [service.id for service in parse(line(2, parent_id=1) + b"\n" + line(1), "")] == [2, 1]


@pytest.mark.parametrize("content", [b"", b"\n\n  \r\n", b"\xef\xbb\xbf"])
def test_a_catalogue_without_services_does_not_empty_the_search(content: bytes) -> None:
    assert problems(content) == ["c.jsonl: no services"]


def test_a_catalogue_saved_on_windows_reads_the_same() -> None:
    plain = parse(line(1) + b"\n" + line(2) + b"\n", "")
    assert parse(b"\xef\xbb\xbf" + line(1) + b"\r\n\r\n  \r\n" + line(2) + b"\r\n", "") == plain
    (said,) = problems(b"\xef\xbb\xbf" + line(1) + b"\r", b"\r", line(2, open=None) + b"\r")
    assert said.startswith("c.jsonl:3: open ")


def test_decomposed_hangul_is_stored_composed_wherever_it_stands() -> None:
    fields: dict[str, Any] = {"name": "송금", "path": "전체 > 송금", "phrases": ["돈 보내기"], "surfaces": ["추천"]}
    apart = json.loads(unicodedata.normalize("NFD", json.dumps(fields, ensure_ascii=False)))
    assert apart != fields
    assert parse(line(**apart), "") == parse(line(**fields), "")


def test_a_phrase_that_the_server_would_refuse_is_refused_before_it_is_sent() -> None:
    composed_is_longer = "\u0958" * 2000  # 6000 bytes as written, 12000 in NFC
    assert problems(line(phrases=[composed_is_longer])) == [
        "c.jsonl:1: phrases number 1 is 12000 bytes long: at most 8192 are taken"
    ]
    apart_is_longer = unicodedata.normalize("NFD", "각" * 2000)  # 18000 bytes as written, 6000 in NFC
    assert parse(line(phrases=[apart_is_longer]), "")[0].phrases == ("각" * 2000,)


@pytest.mark.parametrize("threshold", [-1, 0, 1, 0.71])
def test_a_threshold_on_the_bound_is_taken(threshold: float) -> None:
    value = parse(line(threshold=threshold), "")[0].threshold
    assert value == threshold
    assert isinstance(value, float)


def test_a_file_is_called_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "메뉴.jsonl"
    file.write_bytes(line() + b"\n" + line(2))
    assert [service.id for service in read(file)] == [1, 2]
    file.write_bytes(b"?")
    with pytest.raises(CatalogError, match=f"^{re.escape(str(file))}:1: not JSON"):
        read(file)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.jsonl")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LINES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda field, value: line(**{field: value}),
        st.sampled_from(
            ["id", "parent_id", "service_id", "name", "open", "phrases", "memo", "surfaces", "threshold", "x"]
        ),
        JSON | st.integers(0, 3) | st.lists(st.sampled_from(["가", "나"]), max_size=2),
    ),
    st.builds(lambda number, parent: line(number, parent_id=parent), st.integers(0, 4), st.none() | st.integers(0, 4)),
)


@settings(max_examples=300)
@given(st.lists(LINES, max_size=6))
def test_a_catalogue_is_read_or_refused_line_by_line_whatever_it_holds(lines: list[bytes]) -> None:
    try:
        services = parse(b"\n".join(lines), "c.jsonl")
    except CatalogError as error:
        said = error.problems
        services = []
    else:
        said = []
    assert bool(services) != bool(said)
    for text in said:
        assert text == "c.jsonl: no services" or re.match(r"c\.jsonl:\d+: ", text)
        text.encode()  # can be printed
    ids = [service.id for service in services]
    assert len(set(ids)) == len(ids)
    parents = {service.id: service.parent_id for service in services}
    for at in ids:
        up: int | None = at
        for _ in ids:
            up = parents[up] if up is not None else None
        assert up is None  # the way up ends
