"""Null topics of a catalog: what is accepted, what is refused with its line, and what a shared set leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from malgil_core.catalog.reading import CatalogError, NullTopic, parse_catalog, read_catalog

SERVICE = {
    "id": 1, "service_id": "transfer", "name": "송금", "path": "송금", "open": True, "phrases": ["이체", "돈 보내기"],
}  # fmt: skip
WEATHER = {"null": True, "name": "날씨", "phrases": ["오늘 날씨", "내일 비 와?"]}


def content(*lines: Any) -> bytes:
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()


def problems(*lines: Any) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(content(*lines), "c")
    return caught.value.problems


def written(path: Path, *lines: Any) -> Path:
    path.write_bytes(content(*lines))
    return path


def test_services_and_null_topics_stand_in_one_file() -> None:
    catalog = parse_catalog(content(WEATHER, SERVICE, {**WEATHER, "name": "인사", "phrases": ["안녕"]}), "c")
    assert [service.name for service in catalog.services] == ["송금"]
    assert catalog.null_topics == [NullTopic("날씨", ("오늘 날씨", "내일 비 와?")), NullTopic("인사", ("안녕",))]
    assert catalog.null_topics[0].as_dict() == WEATHER


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({**WEATHER, "id": 3}, "unknown field 'id'; those of a null topic are null, name, phrases"),
        ({"null": True, "name": "날씨"}, "phrases is missing"),
        ({**WEATHER, "phrases": []}, "phrases is empty: at least 1 is needed"),
        ({**WEATHER, "phrases": ["비", "비"]}, 'phrases number 2 is "비", which stands there already'),
        ({**WEATHER, "phrases": ["비", " "]}, "phrases number 2 is empty"),
        ({**WEATHER, "name": 3}, "name is 3: it must be a text"),
        ({**WEATHER, "null": False}, "null is false: it must be true in a null topic, and is not there in a service"),
        ({**SERVICE, "id": 2, "service_id": "x", "nul": True}, "unknown field 'nul'; the fields are id, "),
    ],
)
def test_a_bad_null_topic_is_named_by_its_line(line: Any, problem: str) -> None:
    (found,) = problems(SERVICE, line)
    assert found.startswith(f"c:2: {problem}")


def test_a_text_cannot_be_what_the_app_does_and_what_it_does_not() -> None:
    assert problems(SERVICE, {**WEATHER, "phrases": ["비", "이체"]}) == [
        'c:2: null phrase "이체" is a name or phrase of the service in line 1'
    ]
    assert problems({**WEATHER, "phrases": ["송금"]}, SERVICE) == [
        'c:1: null phrase "송금" is a name or phrase of the service in line 2'
    ]


def test_a_null_phrase_or_topic_that_stands_twice_is_named_with_both_lines() -> None:
    assert problems(SERVICE, WEATHER, {**WEATHER, "name": "우산", "phrases": ["내일 비 와?"]}) == [
        'c:3: null phrase "내일 비 와?" stands in line 2 already'
    ]
    assert problems(SERVICE, WEATHER, {**WEATHER, "phrases": ["눈"]}) == ['c:3: name "날씨" stands in line 2 already']


def test_null_topics_alone_are_no_catalog() -> None:
    assert problems(WEATHER) == ["c: no services"]


def test_a_shared_set_gives_way_to_the_catalog_and_says_what_it_left_out(tmp_path: Path) -> None:
    own = written(tmp_path / "own", SERVICE, WEATHER)
    shared = written(
        tmp_path / "shared",
        {"null": True, "name": "날씨", "phrases": ["내일 비 와?", "첫눈"]},
        {"null": True, "name": "은행", "phrases": ["이체", "은행 털기"]},
        {"null": True, "name": "송금", "phrases": ["돈 보내기"]},
    )
    catalog = read_catalog(own, [shared])
    assert catalog.null_topics == [
        NullTopic("날씨", ("오늘 날씨", "내일 비 와?", "첫눈")),
        NullTopic("은행", ("은행 털기",)),
    ]
    assert catalog.notes == [
        f'{shared}:2: "이체" is left out: it is a phrase of service "송금"',
        f'{shared}:3: "돈 보내기" is left out: it is a phrase of service "송금"',
    ]


def test_a_file_of_null_topics_holds_nothing_else(tmp_path: Path) -> None:
    own = written(tmp_path / "own", SERVICE)
    for lines, problem in (
        ([SERVICE], '1: a service: --null-topics takes lines with "null": true'),
        ([WEATHER, WEATHER], '2: name "날씨" stands in line 1 already'),
    ):
        with pytest.raises(CatalogError, match=f"shared:{problem}"):
            read_catalog(own, [written(tmp_path / "shared", *lines)])
    with pytest.raises(CatalogError, match="shared: no null topics"):
        read_catalog(own, [written(tmp_path / "shared")])
