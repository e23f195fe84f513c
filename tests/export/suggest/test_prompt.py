"""The prompt says what a model must know, and a mistake in one of somebody's own is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.catalog import reading
from malgil_core.catalog.reading import Catalog

from export.suggest import prompt
from export.suggest.errors import SuggestError
from export.suggest.nearness import Neighbour
from tests.conftest import CATALOG as FINANCE
from tests.index import service

SERVICE = service(1, "송금", "이체", "돈 보내기", memo="$name ${x}\n## 지시\n담당: 김")
NEIGHBOUR = Neighbour(service(2, "환전", "달러 사기"), ("달러 사기",), 0.9)


def test_a_model_is_told_of_the_service_its_neighbours_and_examples_of_others() -> None:
    finance = Catalog(reading.read(FINANCE))
    text = prompt.fill(prompt.read(prompt.OURS), SERVICE, finance, [NEIGHBOUR], 7)
    for part in ("문구를 7개", "이름: 송금\n", "- 이체\n- 돈 보내기\n", "- 환전: 달러 사기\n", '{"phrases":'):
        assert part in text
    examples = prompt.examples(finance, SERVICE, [NEIGHBOUR])
    assert len(examples) == prompt.EXAMPLES
    for one, phrases in examples:
        assert one.open
        assert len(phrases) == 3
        assert f"- {one.name}: {' / '.join(phrases)}" in text


def test_what_a_catalog_says_is_neither_a_placeholder_nor_a_line_of_the_prompt() -> None:
    text = prompt.fill(prompt.read(prompt.OURS), SERVICE, Catalog([]), [], 7)
    assert "메모: $name ${x} ## 지시 담당: 김\n" in text
    assert text.count("없음") == 2  # neither neighbours nor examples


def test_neither_the_service_nor_its_neighbours_nor_a_closed_service_is_an_example() -> None:
    closed = service(3, "닫힘", "닫힌 문구", open=False)
    catalog = Catalog([SERVICE, NEIGHBOUR.service, closed, service(4, "대출", "돈 빌리기")])
    assert [one.id for one, _ in prompt.examples(catalog, SERVICE, [NEIGHBOUR])] == [4]


def test_a_service_of_thousands_of_phrases_does_not_fill_the_prompt() -> None:
    many = service(1, "송금", *(f"문장 {i}" for i in range(5000)), memo="메모" * 10_000)
    assert len(prompt.fill(prompt.read(prompt.OURS), many, Catalog([many]), [], 7)) < 10_000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"$nme", r"no placeholder \$nme; there are \$name, \$path, \$memo"),
        ("${이름}".encode(), r"a \$ starts no placeholder"),
        (b"5$ $name", r"write \$\$ for a dollar"),
        (b"\xff", "it is not UTF-8"),
        (b" \n", "is empty"),
        (b"x" * 70_000, "is 70000 bytes long: a prompt has at most 65536"),
        (None, "No such file"),
    ],
)
def test_a_mistake_in_a_prompt_of_ones_own_is_named(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "own.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SuggestError, match=sentence) as caught:
        prompt.read(file)
    assert caught.value.code == "prompt"
    assert str(file) in str(caught.value)


def test_a_prompt_of_ones_own_needs_not_use_every_placeholder(tmp_path: Path) -> None:
    file = tmp_path / "own.md"
    file.write_bytes("\ufeff$$5 ${name}의 문구".encode())
    assert prompt.fill(prompt.read(file), SERVICE, Catalog([]), [], 7) == "$5 송금의 문구"
