"""Every page can be read by everybody: with a screen reader, in the dark, on a phone; and no browser complains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize, expect
from starlette.routing import Route

from console import pages
from tests.console.browser.axe import violations
from tests.console.browser.conftest import Visit
from tests.console.browser.consoles import Console
from tests.console.browser.people import Person

pytestmark = pytest.mark.slow
PHONE: ViewportSize = {"width": 375, "height": 740}
DESK: ViewportSize = {"width": 1200, "height": 900}
PATHS = [
    "/services", "/services?q=송금", "/services?at=100", "/services?bare=1", "/services/101", "/services/new",
    "/services/101/history", "/services/101/delete", "/services/100/delete", "/null-topics", "/null-topics?q=없는",
    "/null-topics/{key}", "/null-topics/new", "/null-topics/{key}/history", "/null-topics/{key}/delete",
    "/search", "/search?form=1&null=1&q=대출 갈아타기", "/search?form=1&null=1&q=내일 비 와", "/search/tests",
    "/search/tests/set?name=세트", "/search/runs/{run}", "/data", "/data?kind=chosen",
    "/data?kind=unchosen&days=7", "/suggest", "/suggest/101",
    "/publish", "/audit", "/audit?q=없는이름",
    "/nothing-here",
]  # fmt: skip
# What answers no page: parts for htmx, which stand in the pages above, files, and the way to the first page.
NO_PAGES = {
    "/", "/health", "/login", "/services.csv", "/catalog.jsonl", "/audit.csv", "/services/{id:int}/below",
    "/services/roots", "/services/parents", "/services/path", "/services/{id:int}/threshold", "/search/state",
    "/publish/job", "/publish/servers", "/publish/checks", "/suggest/{id:int}/job",
}  # fmt: skip


def test_no_page_is_left_out_here() -> None:
    routes = [route for page in pages.PAGES for route in page.routes]
    shown = [route.path for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    visited = {path.partition("?")[0].replace("101", "{id:int}").replace("{key}", "{key:int}") for path in PATHS}
    visited = {path.replace("{run}", "{id:str}") for path in visited}
    assert [path for path in shown if path not in visited | NO_PAGES] == []


@pytest.fixture(scope="module")
def addresses(site: Console, browser: Browser) -> list[str]:
    """The addresses of all pages, each with something to show."""
    minji = Person(browser, site.url)
    minji.log_in("minji")
    page = minji.goto("/null-topics/new")
    page.get_by_label("이름").fill("날짜와 시간")
    page.get_by_label("문장").fill("오늘이 며칠인지 보기\n지금 몇 시")
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_text("새로 만들었어요.")).to_be_visible()
    key = page.url.partition("?")[0].rpartition("/")[2]
    lines = [
        '{"query": "송금 예약", "id": 106, "kind": "x"}',
        '{"query": "이체", "id": 101}',
        '{"query": "송금", "id": null}',
    ]
    site.store.save_test_set("세트", "\n".join(lines).encode(), by="minji")
    page = minji.goto("/search/tests")
    page.get_by_role("row").filter(has_text="세트").get_by_role("button", name="돌리기").click()
    expect(page.get_by_role("heading", name="나빠지는 검색어")).to_be_visible(timeout=30_000)
    run = page.url.rpartition("/")[2]
    minji.goto("/publish").get_by_role("button", name="게시하기").click()
    expect(page.locator("#job")).to_contain_text("게시했어요(세대 ", timeout=60_000)
    site.store.save_service(
        dataclasses.replace(site.store.service(110).value, phrases=("다른 은행으로 대출 이동하기",)),
        by="minji",
        expected=1,
    )
    minji.context.close()
    return [path.format(key=key, run=run) for path in PATHS]


def each(addresses: list[str], minji: Person) -> Iterator[str]:
    """Every page, and those that come only after a mistake, one after the other in the browser."""
    minji.expected = {401, 404, 409, 422}
    page = minji.page
    for path in addresses:
        minji.goto(path)
        minji.settle()
        yield path
    minji.goto("/services/new?parent=100")
    for label, typed in {
        "ID": "x",
        "PID": "없는 서비스",
        "서비스 ID": "a",
        "이름": "b",
        "Threshold Override": "높게",
    }.items():
        page.get_by_label(label, exact=label in ("ID", "이름")).fill(typed)
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_role("alert")).to_contain_text("아직 저장하지 않았어요.")
    yield "a form with mistakes"
    minji.goto("/services/106")
    page.locator("input[name=version]").last.evaluate("field => { field.value = '0'; }")
    page.get_by_label("메모").fill("늦게 쓴 메모")
    page.get_by_label("학습 데이터").fill("늦게 쓴 문장")
    page.get_by_role("button", name="저장").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("두 사람이 함께 고쳤어요")
    yield "two people at a service"
    minji.goto("/services/107")
    page.get_by_label("메모").fill("쓰던 메모")
    minji.context.clear_cookies()
    page.get_by_role("button", name="저장").click()
    page.get_by_label("이름").fill("minji")
    yield "the login after a session"
    minji.give_password()
    expect(page.get_by_role("heading", level=1)).to_have_text("쓰던 내용이 그대로 있어요")
    yield "the form after the login"


@pytest.fixture(scope="module")
def seen(site: Console, browser: Browser, addresses: list[str]) -> dict[str, tuple[list[str], list[str], int]]:
    """Of each page, what is not accessible in light and in dark, and its width on a phone."""
    minji = Person(browser, site.url, color_scheme="light")
    minji.log_in("minji")
    found = {}
    for path in each(addresses, minji):
        light = violations(minji.page)
        minji.page.emulate_media(color_scheme="dark")
        dark = violations(minji.page, "color-contrast", "link-in-text-block")  # what else there is has no colour
        minji.page.emulate_media(color_scheme="light")
        minji.page.set_viewport_size(PHONE)
        width = int(minji.page.evaluate("document.documentElement.scrollWidth"))
        minji.page.set_viewport_size(DESK)
        found[path] = light, dark, width
    minji.context.close()
    assert minji.complaints == []
    return found


def test_every_page_can_be_used_with_a_screen_reader_and_read_in_light_and_dark(
    seen: dict[str, tuple[list[str], list[str], int]],
) -> None:
    assert {path: (light, dark) for path, (light, dark, _) in seen.items() if light or dark} == {}


def test_on_a_phone_no_page_is_wider_than_the_screen(seen: dict[str, tuple[list[str], list[str], int]]) -> None:
    assert {path: width for path, (_, _, width) in seen.items() if width > PHONE["width"]} == {}


def test_a_script_that_the_policy_refuses_would_be_seen_here(site: Console, visit: Visit) -> None:
    minji = visit(site)
    page = minji.goto("/login")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(1)'}))")
    page.wait_for_timeout(100)
    assert any("Content Security Policy" in one for one in minji.complaints)
    assert any("policy: script-src-elem inline" in one for one in minji.complaints)
    minji.complaints.clear()
    assert minji.dialogs == []
    page.evaluate("document.querySelector('label').remove()")
    assert [one for one in violations(page) if one.startswith("label:")]
