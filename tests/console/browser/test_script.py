"""Whoever may edit cannot make another person's browser run a script: whatever is typed is shown as text."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser.conftest import Visit
from tests.console.browser.consoles import Console

pytestmark = pytest.mark.slow
SCRIPT = "\"'><script>alert('s')</script><img src=x onerror=alert('i')><svg/onload=alert(1)>{{7*7}}${7*7}"
FIELDS = "form[data-save] :is(textarea, input:not([type=hidden], [type=checkbox], [type=radio], [type=file]))"


def fill(page: Page, script: str = SCRIPT) -> list[str]:
    """Type a script into every field of the form that is saved; the fields' names."""
    names = []
    for field in page.locator(FIELDS).all():
        if field.is_editable() and field.is_visible():
            field.fill(script)
            names.append(field.get_attribute("name") or "")
    return names


def shown(page: Page) -> None:
    """The script stands on the page as it was typed."""
    assert page.locator(":is(script:not([src]), img, svg)").count() == 0
    texts = page.evaluate("document.body.innerText") + "".join(
        field.input_value() for field in page.locator(FIELDS).all()
    )
    assert SCRIPT in texts


def test_a_script_typed_into_any_field_is_text_on_every_page_that_shows_it(site: Console, visit: Visit) -> None:
    minji = visit(site, "minji")
    minji.expected = {401, 422}
    page = minji.goto("/services/new")
    assert fill(page) == [
        "id", "parent_id", "service_id", "name", "phrases", "more_surfaces", "threshold", "memo",
    ]  # fmt: skip
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_role("alert")).to_contain_text("아직 저장하지 않았어요.")
    shown(page)
    id = str(site.store.next_id())
    for label, typed in {"ID": id, "PID (상위 서비스)": "", "Threshold Override": "0.5"}.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("오픈").check()
    minji.settle()
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_text("새로 만들었어요.")).to_be_visible()
    shown(page)
    page.get_by_label("메모").fill(f"{SCRIPT}\n")
    page.get_by_role("button", name="저장").click()
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()

    minji.goto("/null-topics/new")
    assert fill(page) == ["name", "phrases"]
    page.get_by_label("문장").fill(f"{SCRIPT} 없는 것")
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_text("새로 만들었어요.")).to_be_visible()
    topic = page.url.partition("?")[0]
    minji.goto("/search/tests")
    page.get_by_label("이름").fill(SCRIPT[:80])
    page.get_by_label("파일").set_input_files(
        {"name": f"{SCRIPT[:20].replace('/', '')}.jsonl", "mimeType": "text/plain", "buffer": b'{"query": 1}\n'}
    )
    page.get_by_role("button", name="올리기").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.get_by_label("이름").input_value() == SCRIPT[:80]

    minji.goto("/search")
    minji.drafted()
    page.get_by_role("searchbox").fill(SCRIPT)
    expect(page.get_by_role("region", name="초안")).to_contain_text(SCRIPT)
    minji.goto("/publish")
    page.get_by_label("무엇을 바꿨는지").fill(SCRIPT)
    page.get_by_role("button", name="게시하기").click()
    expect(page.locator("#job")).to_contain_text("게시했어요(세대 ", timeout=60_000)
    expect(page.locator("#job")).to_contain_text(SCRIPT)
    expect(minji.goto("/audit").locator("ol.log")).to_contain_text(SCRIPT)
    for field in ("이름·메모", "누가"):
        page.get_by_label(field).fill(SCRIPT)
    page.get_by_role("button", name="찾기").click()
    assert page.get_by_label("누가").input_value() == SCRIPT

    for path in (
        f"/services/{id}/history", f"/services/{id}/delete", "/services", "/services?q=alert", f"/services?at={id}",
        f"/services/new?parent={id}", topic, f"{topic}/history", f"{topic}/delete", "/null-topics",
    ):  # fmt: skip
        minji.goto(path)
        minji.settle()
        shown(page)
    assert minji.dialogs == ["지금 저장된 내용을 게시할까요? 잠시 뒤 모두의 검색에 나와요."]


def test_a_script_in_the_login_or_in_an_address_is_text(site: Console, visit: Visit) -> None:
    stranger = visit(site)
    stranger.expected = {401, 404}
    page = stranger.goto(f"/login?next=javascript:alert(1)//{SCRIPT}")
    page.get_by_label("이름").fill(SCRIPT)
    page.get_by_label("비밀번호").fill(SCRIPT)
    page.get_by_role("button", name="로그인").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.get_by_label("이름").input_value() == SCRIPT
    for path in (f"/{SCRIPT}", f"/services?q={SCRIPT}&surface={SCRIPT}", f"/search?q={SCRIPT}&surface={SCRIPT}"):
        stranger.goto(path)
    assert stranger.dialogs == []
