"""Suggestions as one types: completions of open services, what people chose first, nothing that must not show."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import folder_of, load
from malgil_core.index.writer import publish
from malgil_core.suggest.suggester import Suggester
from malgil_core.suggest.types import SuggestOptions

from tests.core.suggest.conftest import SERVICES, Make, generation_of, line, texts
from tests.index import ENCODER, embed, service


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("더치", "더치페이"),
        ("덫", "더치페이"),  # half a syllable on its way
        ("ㄷㅊ", "더치페이"),
        ("ejcl", "더치페이"),  # the wrong keyboard layout
        ("더취패", "더치페이"),  # two slips
        ("ㅋㄷ ㅂㅅ", "카드 분실 신고"),
        ("카드 ㅂㅅ", "카드 분실 신고"),
        ("카드분실", "카드 분실 신고"),
        ("irp", "IRP 계좌"),
        ("ㅑ게", "IRP 계좌"),
        ("분실", "카드 분실 신고"),  # a later word
        ("결제일 바", "결제일 바꾸기"),
    ],
)
def test_what_is_half_typed_abbreviated_or_mistyped_is_completed(make: Make, typed: str, first: str) -> None:
    assert texts(make(), typed)[0] == first


def test_names_come_before_phrases_where_nobody_chose_anything(make: Make) -> None:
    assert texts(make(), "카드") == ["카드 결제일", "카드 분실 신고"]
    assert texts(make(), "송") == ["송금", "송금 한도", "예약 송금"]


def test_what_people_chose_most_comes_first(make: Make) -> None:
    assert texts(make(line("카드 잃어버렸어", 206, 40), line("카드값", 205, 39)), "카") == [
        "카드 잃어버렸어",
        "카드값 언제 나가",  # what 카드값 begins
    ]
    assert texts(make(line("예약", 102, 60), line("송금 한", 101, 50)), "송") == ["예약 송금", "송금 한도", "송금"]


def test_what_resembles_never_comes_before_a_completion_however_often_it_was_chosen(make: Make) -> None:
    suggester = make(line("카드 결제", 205, 9000))
    assert texts(suggester, "카드 분싥") == ["카드 분실 신고"]
    assert texts(suggester, "카드 분")[0] == "카드 분실 신고"


def test_a_text_that_the_catalog_does_not_have_is_suggested_as_people_typed_it(make: Make) -> None:
    suggester = make(line("용돈 부치기", 100))
    (found,) = suggester.suggest(["용"], [SuggestOptions()])[0]
    assert (found.text, found.is_query) == ("용돈 부치기", True)
    assert texts(suggester, "ㅇㄷ") == ["용돈 부치기"]
    assert texts(suggester, "dydehs") == ["용돈 부치기"]
    (of_catalog,) = suggester.suggest(["더치"], [SuggestOptions()])[0]
    assert not of_catalog.is_query


def test_what_people_left_half_typed_or_in_the_wrong_layout_is_not_shown_as_they_left_it(make: Make) -> None:
    suggester = make(line("ㅇㅇㅇ", 102), line("dydehs", 207, 70), line("용돈ㅂ", 207))
    for typed in ("ㅇ", "용", "dyd", "dydehs", "ㅇㅇㅇ"):
        assert not {"ㅇㅇㅇ", "dydehs", "용돈ㅂ"} & {*texts(suggester, typed)}
    assert texts(make(line("irp 세액", 208)), "irp 세") == ["irp 세액"]  # a word that the catalog has in Latin letters
    crowded = (*SERVICES, service(209, "더하기", "적금 모으기"))
    assert texts(make(services=crowded), "더")[0] == "더하기"
    assert texts(make(line("ㄷㅊㅍㅇ", 207), services=crowded), "더")[0] == "더치페이"  # the choices count for the name


def test_a_closed_service_is_never_suggested_and_neither_is_one_that_is_gone(make: Make) -> None:
    suggester = make(line("송편", 900, 500), line("송년회 회비", 900, 500), line("송아지", 12345, 500))
    for typed in ("송", "송편", "송펴", "송년", "ㅅㅍ", "송아"):
        assert not {"송편 주문", "송편 보내기", "송편", "송년회 회비", "송아지"} & {*texts(suggester, typed, 20)}


def test_a_null_phrase_is_never_suggested_even_where_people_chose_a_service_for_it(make: Make) -> None:
    suggester = make(line("오늘 날씨", 100, 500), line("오늘날씨", 101, 500), line("송도 날씨", 100, 500))
    for typed in ("오늘", "오늘 날", "송도", "ㅇㄴ", "날씨"):
        assert not any("날씨" in text for text in texts(suggester, typed, 20))


def test_a_null_phrase_is_not_taken_for_a_slip_of_something_that_the_app_does(make: Make) -> None:
    assert texts(make(), "ㄷㅊㅍㄷ") == ["더치페이"]
    assert texts(make(), "ㄷㅊㅍㄱ") == []
    assert texts(make(), "카드 분싄") == ["카드 분실 신고"]
    assert texts(make(), "카드 분신") == []


def test_a_surface_shows_its_own_services_alone_and_all_that_it_can(make: Make) -> None:
    assert texts(make(), "송", surface="RECO") == ["송금"]
    assert texts(make(line("카드 잃어버렸어", 206, 500)), "카", surface="RECO") == ["카드 결제일"]
    # More names begin so than are looked at, and the one that the surface shows would be looked at last.
    many = [service(i, f"송금 {i}번", surfaces=("SEARCH",)) for i in range(300)]
    last = service(999, "송금 받을 곳을 고르는 아주 긴 이름", surfaces=("RECO",))
    assert texts(make(services=[*many, last]), "송", surface="RECO") == [last.name]


def test_the_most_chosen_of_thousands_that_begin_alike_is_found(make: Make) -> None:
    many = [service(i, f"카드 {i}번", "하나") for i in range(300)]
    last = service(999, "예금", "카드 포인트를 예금으로 옮기는 방법이 뭐예요", "둘")
    suggester = make(line("카드 포인트를 예금", 999), services=[*many, last])
    assert texts(suggester, "ㅋ", 1) == ["카드 포인트를 예금으로 옮기는 방법이 뭐예요"]


def test_what_is_typed_already_is_not_suggested_but_where_it_leads_is(make: Make) -> None:
    found = texts(make(), "송금")
    assert "송금" not in found
    assert {"송금 한도", "예약 송금"} <= {*found}
    assert texts(make(), "이체")[0] == "송금"  # the service of the phrase 이체
    assert texts(make(), " 이 체 ")[0] == "송금"
    assert texts(make(line("용돈 부치기", 100)), "용돈 부치기") == ["송금"]
    assert texts(make(), "irp 계좌") == []
    assert texts(make(), "thdrma")[0] == "송금"  # typed with the wrong layout it is another text


def test_nothing_is_suggested_twice(make: Make) -> None:
    twins = (*SERVICES, service(300, "송금", "송금 한도"), service(301, "송금한도", "무엇"))
    suggester = make(line("송금 한도 조회", 101), line("송금한도조회", 300), services=twins)
    for typed in ("송", "송금", "송금 한도", "ㅅㄱ"):
        (found,) = suggester.suggest([typed], [SuggestOptions(20)])
        plain = [one.text.replace(" ", "") for one in found]
        assert len({*plain}) == len(plain) > 0
        assert len({one.service for one in found}) == len(found)


@pytest.mark.parametrize("typed", ["!", "김치찌개 레시피", "qqqqqqq", "오늘 저녁 뭐 먹지", "가" * 500])
def test_what_nothing_completes_or_resembles_has_no_suggestion(make: Make, typed: str) -> None:
    assert texts(make(), typed) == []


def test_a_catalog_without_an_open_service_has_no_suggestions(make: Make) -> None:
    assert texts(make(line("송금", 1), services=[service(1, "점검 중", open=False)]), "송") == []


def test_a_batch_is_answered_as_its_texts_alone_are(make: Make) -> None:
    suggester = make(line("용돈 부치기", 100), line("카드값", 205))
    asked = [
        ("송", None, 5),
        ("카드", "RECO", 2),
        ("ㄷㅊ", None, 1),
        ("더취패", "SEARCH", 20),
        ("용", "RECO", 3),
        ("?", None, 5),
    ]
    options = [SuggestOptions(top_k, surface) for _, surface, top_k in asked]
    together = suggester.suggest([typed for typed, *_ in asked], options)
    alone = [suggester.suggest([typed], [option])[0] for (typed, *_), option in zip(asked, options, strict=True)]
    assert together == alone
    assert sum(map(len, together)) > 6
    assert suggester.suggest([], []) == []


def test_a_line_below_the_bounds_does_not_serve_even_if_someone_wrote_it_into_the_index(tmp_path: Path) -> None:
    generation = generation_of(tmp_path, SERVICES, line("용돈 부치기", 100), line("김말길 송금", 100, persons=2))
    with pytest.raises(GenerationError, match=r"suggestions\.jsonl:2: persons is 2: it must be .* from 30 "):
        Suggester(generation)


def test_a_generation_that_was_loaded_for_search_has_no_text_of_people(tmp_path: Path) -> None:
    number = publish(SERVICES, tmp_path, ENCODER, embed, chosen=[line("용돈 부치기", 100)])
    assert load(folder_of(tmp_path, number)).chosen == ()
    assert texts(Suggester(load(folder_of(tmp_path, number))), "용") == []
