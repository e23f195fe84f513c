"""From an idea to what an app finds, and back: added, warned about, tested, published, found, taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import malgil
import pytest
from playwright.sync_api import Page, expect

from server.launcher import Server
from tests.console.browser.conftest import Visit
from tests.console.browser.consoles import Console
from tests.live import until

pytestmark = pytest.mark.slow
QUERY = "비둘기로 돈 날려 보내기"
TWIN = "다른 은행으로 대출 이동하기"
SECONDS = 2.0  # from the end of a publish until the server answers from it
MOST_BYTES = 150_000  # of a picture
Picture = Callable[[Page, str, int], None]


@pytest.fixture
def console(database: str, production: Server, served: Path, repository: Path, hashed: str) -> Iterator[Console]:
    """A console that publishes what the server serves."""
    with Console(database, served, repository, production.grpc_url, hashed) as started:
        yield started


@pytest.fixture
def picture(request: pytest.FixtureRequest, database: str) -> Picture:
    """Takes a picture for docs/console.md, with `--pictures FOLDER`."""
    folder: Path | None = request.config.getoption("pictures")

    def taken(page: Page, name: str, height: int) -> None:
        if folder is None or not database.startswith("sqlite"):
            return
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"console-{name}.png"
        page.set_viewport_size({"width": 1200, "height": height})
        page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        page.screenshot(path=file, animations="disabled", caret="hide")
        assert file.stat().st_size < MOST_BYTES

    return taken


def names(client: malgil.SearchClient) -> list[str]:
    """What an app finds."""
    return [hit.name for hit in client.search(QUERY, top_k=5)]


def test_a_service_is_added_tested_published_found_by_an_app_and_taken_back(
    console: Console, visit: Visit, client: malgil.SearchClient, picture: Picture
) -> None:
    minji = visit(console, "minji")
    page = minji.page
    page.locator(".tree summary").filter(has_text="송금").first.click()
    minji.settle()
    picture(page, "tree", 800)

    page.get_by_role("link", name="새 서비스").click()
    page.get_by_label("PID").fill("100")
    page.get_by_label("서비스 ID").fill("transfer-pigeon")
    page.get_by_label("이름", exact=True).fill("비둘기 송금")
    expect(page.locator("#path")).to_have_text("송금 > 비둘기 송금")
    page.get_by_label("오픈").check()
    page.get_by_label("학습 데이터").fill(f"{QUERY}\n{TWIN}\n비둘기 편에 용돈 부치기")
    warnings = page.locator("#warnings")
    expect(warnings).to_contain_text(
        "2번째 줄 다른 서비스의 문장과 거의 같아요: ‘다른 은행으로 대출 이동’ (대출 > 대출 갈아타기"
    )
    expect(warnings.get_by_role("listitem")).to_have_count(1)
    picture(page, "service", 1160)
    page.get_by_label("학습 데이터").fill(f"{QUERY}\n비둘기 편에 용돈 부치기")
    expect(warnings.get_by_role("listitem")).to_have_count(0)
    page.get_by_role("button", name="만들기").click()
    expect(page.get_by_role("status").first).to_have_text("새로 만들었어요.")

    page.get_by_role("link", name="검색 테스트").click()
    minji.drafted()
    page.get_by_role("searchbox").press_sequentially(QUERY[:8], delay=20)
    expect(page.get_by_role("region", name="초안").get_by_role("listitem").first).to_contain_text("비둘기 송금")
    expect(page.get_by_text(f"‘{QUERY[:8]}’: 초안과 지금 검색이 달라요.")).to_be_visible()
    expect(page.get_by_role("region", name="지금 검색")).not_to_contain_text("비둘기 송금")
    minji.settle()
    picture(page, "search", 760)
    assert "비둘기 송금" not in names(client)

    page.get_by_role("link", name="게시", exact=True).click()
    expect(page.get_by_text("새로 생기는 것 1개 · 바뀌는 것 0개 · 없어지는 것 0개")).to_be_visible()
    expect(page.get_by_text("바뀐 서비스 1개의 문장에 살펴볼 것이 없어요.")).to_be_visible()
    expect(page.get_by_text("마지막으로 게시한 세대예요")).to_be_visible()
    before = page.get_by_role("row").filter(has_text="서비스 중").get_by_role("cell").first.inner_text().split()[0]
    page.get_by_label("무엇을 바꿨는지").fill("비둘기를 열어요")
    picture(page, "publish", 1000)
    page.get_by_role("button", name="게시하기").click()
    expect(page.locator("#job")).to_contain_text("게시했어요(세대 ", timeout=60_000)
    until(lambda: names(client)[:1] == ["비둘기 송금"], SECONDS)
    expect(page.locator("#job")).to_contain_text("비둘기를 열어요")

    page.goto("/publish")
    page.get_by_role("row", name=re.compile(rf"^{before}\b")).get_by_role("button").click()
    expect(page.locator("#job")).to_contain_text(f"세대 {before}의 내용으로 되돌렸어요.", timeout=60_000)
    until(lambda: "비둘기 송금" not in names(client), SECONDS)
    assert [dialog.split("?")[0] for dialog in minji.dialogs] == [
        "지금 저장된 내용을 게시할까요",
        f"세대 {before}의 내용으로 되돌릴까요",
    ]
    page.get_by_role("link", name="이력", exact=True).click()
    expect(page.get_by_role("list").filter(has_text="게시 되돌림").first).to_contain_text("비둘기를 열어요")
