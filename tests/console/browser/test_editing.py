"""What people write in forms is never lost: to a second person, an ended session, a slip of the hand."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser.conftest import Visit
from tests.console.browser.consoles import Console

pytestmark = pytest.mark.slow


def test_of_two_who_edit_a_service_the_second_sees_both_contents_and_nothing_is_lost(
    site: Console, visit: Visit
) -> None:
    minji, junho = visit(site, "minji"), visit(site, "junho")
    for person in (minji, junho):
        person.goto("/services/103")
        phrases = person.page.get_by_label("학습 데이터")
        name = "민지" if person is minji else "준호"
        phrases.fill(f"{phrases.input_value()}\n{name}의 새 문장")
        person.page.get_by_label("메모").fill(f"{name}의 메모")
    minji.page.get_by_role("button", name="저장").click()
    expect(minji.page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    junho.expected = {409}
    junho.page.get_by_role("button", name="저장").click()
    page = junho.page
    expect(page.get_by_role("heading", level=1)).to_have_text("두 사람이 함께 고쳤어요")
    memo, lines = (page.get_by_role("group", name=label) for label in ("메모", "학습 데이터"))
    expect(memo).to_contain_text("민지의 메모")
    expect(memo).to_contain_text("준호의 메모")
    assert site.store.service(103).value.memo == "민지의 메모"
    memo.get_by_label("minji 님이 저장한 내용").check()
    expect(lines.get_by_label("둘 다 합치기")).to_be_checked()
    page.get_by_role("button", name="고른 대로 저장").click()
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    saved = site.store.service(103)
    assert (saved.changed_by, saved.value.memo) == ("junho", "민지의 메모")
    assert saved.value.phrases[-2:] == ("민지의 새 문장", "준호의 새 문장")
    expect(page.get_by_role("complementary", name="이력")).to_contain_text("minji")


def test_a_search_in_the_draft_shows_what_another_person_saves_without_being_typed_again(
    site: Console, visit: Visit
) -> None:
    minji, junho = visit(site, "minji"), visit(site, "junho")
    query = "종이비행기에 쪽지 접어 날리기"
    page = minji.goto("/search")
    minji.drafted()
    page.get_by_role("searchbox").fill(query)
    expect(page.get_by_text(f"‘{query}’: 초안과 지금 검색이")).to_be_visible()
    expect(page.locator("#results")).not_to_contain_text(f"‘{query}’ 문장과 맞아요.")
    junho.goto("/services/106")
    phrases = junho.page.get_by_label("학습 데이터")
    phrases.fill(f"{phrases.input_value()}\n{query}")
    junho.page.get_by_role("button", name="저장").click()
    expect(junho.page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    first = page.get_by_role("region", name="초안").get_by_role("listitem").first
    expect(first).to_contain_text(f"‘{query}’ 문장과 맞아요.", timeout=30_000)
    expect(page.get_by_role("searchbox")).to_have_value(query)


def test_what_is_typed_while_the_session_ends_comes_back_after_the_login(site: Console, visit: Visit) -> None:
    minji = visit(site, "minji")
    page = minji.goto("/services/104")
    minji.settle()
    typed = '두 줄이고\n"따옴표"와 <b>도 있는 메모'
    page.get_by_label("메모").fill(typed)
    minji.context.clear_cookies()
    minji.expected = {401}
    phrases = page.get_by_label("학습 데이터")
    phrases.fill(f"{phrases.input_value()}\n한 달 뒤에 부치기")
    expect(page.locator("#live")).to_contain_text("로그인이 끝났어요. 쓰던 내용은 그대로 있어요.")
    page.get_by_role("button", name="저장").click()
    page.get_by_label("이름").fill("minji")
    page.get_by_label("비밀번호").fill("틀린 비밀번호")
    page.get_by_role("button", name="로그인").click()
    expect(page.get_by_role("alert")).to_have_text("이름이나 비밀번호가 맞지 않아요.")
    minji.give_password()
    expect(page.get_by_role("heading", level=1)).to_have_text("쓰던 내용이 그대로 있어요")
    expect(page.locator(".held")).to_contain_text("한 달 뒤에 부치기")
    assert site.store.service(104).value.memo != typed
    page.get_by_role("button", name="이어서 보내기").click()
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    saved = site.store.service(104).value
    assert (saved.memo, saved.phrases[-1]) == (typed, "한 달 뒤에 부치기")


def test_a_changed_form_is_not_left_by_a_slip_and_the_console_that_is_gone_is_named(
    site: Console, visit: Visit
) -> None:
    minji = visit(site, "minji")
    page = minji.goto("/services/105")
    minji.settle()
    page.get_by_label("메모").fill("아직 저장하지 않은 메모")
    minji.dismisses = True
    page.get_by_role("link", name="게시", exact=True).click(no_wait_after=True)
    page.wait_for_timeout(200)
    assert minji.dialogs == ["beforeunload"]
    assert page.url.endswith("/services/105")
    minji.context.set_offline(True)
    phrases = page.get_by_label("학습 데이터")
    phrases.fill(f"{phrases.input_value()}\n또 한 줄")
    expect(page.locator("#live")).to_contain_text("콘솔에 연결할 수 없어요. 쓰던 내용은 이 화면에 남아 있어요.")
    assert [one for one in minji.complaints if "htmx:sendError" in one]
    minji.complaints.clear()
    minji.context.set_offline(False)
    minji.dismisses = False
    page.get_by_role("button", name="저장").click()
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    assert minji.dialogs == ["beforeunload"]
    assert site.store.service(105).value.phrases[-1] == "또 한 줄"


def test_the_tree_and_the_form_are_used_without_a_mouse(site: Console, visit: Visit) -> None:
    minji = visit(site, "minji")
    page, keys = minji.page, minji.page.keyboard

    def focused() -> str:
        return str(page.evaluate("document.activeElement.innerText || document.activeElement.id"))

    keys.press("Tab")
    assert focused() == "본문으로 건너뛰기"
    keys.press("/")
    assert focused() == "q"
    keys.type("오토바이 보험")
    expect(page.locator("#list")).to_contain_text("개를 찾았어요.")
    keys.press("/")  # in a field it is a character
    assert page.get_by_role("searchbox").input_value() == "오토바이 보험/"
    minji.goto("/services")
    summaries = page.locator(".tree > li > details > summary")
    summaries.first.focus()
    keys.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('li').previousElementSibling !== null")
    keys.press("ArrowUp")
    keys.press("ArrowRight")
    below = page.locator(".tree > li").first.locator("ul .node > a, ul summary")
    expect(below.nth(1)).to_be_visible()
    keys.press("ArrowRight")
    expect(below.first).to_be_focused()
    keys.press("ArrowLeft")
    expect(summaries.first).to_be_focused()
    keys.press("ArrowLeft")
    expect(below.first).to_be_hidden()
    keys.press("Enter")
    page.wait_for_url("**/services/100")
    minji.settle()
    page.get_by_label("메모").focus()
    keys.type("글쇠로만 쓴 메모")
    keys.press("Control+s")
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    assert site.store.service(100).value.memo == "글쇠로만 쓴 메모"


def test_without_javascript_a_service_is_found_saved_and_published(site: Console, visit: Visit) -> None:
    minji = visit(site, "minji", java_script_enabled=False)
    page = minji.page
    page.locator(".tree summary").filter(has_text="송금").first.click()
    page.get_by_role("link", name="아래 서비스").first.click()
    page.get_by_role("link", name="연락처로 보내기").click()
    page.get_by_label("메모").fill("스크립트 없이 쓴 메모")
    page.get_by_role("button", name="저장").click()
    expect(page.get_by_text("저장했어요.", exact=True)).to_be_visible()
    page.get_by_role("link", name="검색 테스트").click()
    page.get_by_role("searchbox").fill("친구한테 돈 보내기")
    page.get_by_role("button", name="찾기").click()
    expect(page.get_by_role("region", name="초안").get_by_role("listitem").first).to_be_visible()
    page.get_by_role("link", name="게시", exact=True).click()
    expect(page.get_by_role("region", name="바뀌는 내용")).to_contain_text("스크립트 없이 쓴 메모")
    with page.expect_navigation():  # the reload of a page that is being left fails
        page.get_by_role("button", name="게시하기").click()
    for _ in range(100):
        page.reload()
        if "게시했어요(세대" in page.locator("#job").inner_text():
            break
        page.wait_for_timeout(200)
    expect(page.get_by_text("바뀐 내용이 없어요.")).to_be_visible()
