"""Phrases that a language model proposes are looked at, put right and taken one by one, by everybody, on any screen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.launcher import Server
from tests.console.browser.axe import violations
from tests.console.browser.conftest import Visit
from tests.console.browser.consoles import Console
from tests.llm import endpoint, saying

pytestmark = pytest.mark.slow
GOOD, OTHER, NOT_IN_THE_APP = "환전하는 메뉴 어디 있어?", "계좌이체로 송금하기", "내일 비가 올까?"
EXCHANGE = 901


@pytest.fixture
def console(production: Server, repository: Path, index: Path, hashed: str, tmp_path: Path) -> Iterator[Console]:
    """A console with an endpoint that proposes three phrases, whatever it is asked."""
    shutil.copytree(index, tmp_path / "index")
    answer = json.dumps({"phrases": [GOOD, OTHER, NOT_IN_THE_APP]}, ensure_ascii=False)
    with (
        endpoint(saying(answer)) as model,
        Console(
            f"sqlite:///{tmp_path}/console.db", tmp_path / "index", repository, production.grpc_url, hashed,
            MALGIL_LLM_URL=model.url, MALGIL_LLM_MODEL="m",
        ) as started,
    ):  # fmt: skip
        yield started


def test_a_person_takes_a_proposed_phrase_puts_one_right_and_throws_one_away(console: Console, visit: Visit) -> None:
    minji = visit(console, "minji")
    page = minji.goto("/search")
    minji.drafted()
    before = console.store.service(EXCHANGE).value.phrases
    page = minji.goto(f"/suggest/{EXCHANGE}")
    page.get_by_role("button", name="제안받기").click()
    expect(page.get_by_role("heading", name="제안 3개")).to_be_visible(timeout=30_000)
    minji.settle()
    assert violations(page) == []
    minji.page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast", "link-in-text-block") == []
    minji.page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 375, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375

    offers = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="넣기"))
    other = offers.filter(has_text="살펴보세요").first
    corrected = "외화로 바꾸는 곳"
    other.get_by_role("textbox").fill(corrected)
    other.get_by_role("button", name="넣기").click()
    expect(page.get_by_role("heading", name="제안 2개")).to_be_visible()
    offers.filter(has_text="살펴보세요").get_by_role("button", name="버리기").click()
    expect(page.get_by_role("heading", name="제안 1개")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_value(GOOD)
    page.get_by_role("button", name="넣기").click()
    expect(page.get_by_text("결정할 제안이 없어요.")).to_be_visible()
    expect(page.locator("#own")).to_contain_text(GOOD)
    minji.settle()
    assert violations(page) == []
    assert console.store.service(EXCHANGE).value.phrases == (*before, corrected, GOOD)
