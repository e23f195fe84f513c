"""People at browsers, watched for whatever a browser complains about."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, WebError, expect

from tests.console.conftest import PASSWORD

# A violation of the Content-Security-Policy is reported on whatever the browser's console says of it.
REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"""
STATUS = re.compile(
    r"(?:Failed to load resource: the server responded with a status of|Response Status Error Code) (\d+)"
)
# What htmx says of a request that a newer one replaced, or that the page was left during.
ABORTED = re.compile(r"htmx:(afterRequest|sendAbort)\b")


class Person:
    """Somebody with a browser of their own: cookies, a page, and the browser's complaints.

    Args:
        browser: where the context is made.
        url: of the console.
        options: of the context: viewport, JavaScript, colours.

    Attributes:
        page: the page.
        dialogs: texts of the dialogs, each of which was accepted unless `dismisses`.
        complaints: errors in the browser's console, violations of the policy, exceptions: with one, the test fails.
        expected: statuses of answers that the browser may report as errors.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        known = {"viewport": {"width": 1200, "height": 900}, "locale": "ko-KR", "reduced_motion": "reduce"}
        self.context = browser.new_context(base_url=url, **{**known, **options})
        self.context.set_default_timeout(15_000)
        self.context.add_init_script(REPORT)
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        self.expected: set[int] = set()
        self.dismisses = False
        self.context.on("console", self._heard)
        self.context.on("weberror", self._failed)
        self.context.on("dialog", self._asked)
        self.page: Page = self.context.new_page()

    def _heard(self, message: ConsoleMessage) -> None:
        status = STATUS.match(message.text)
        if ABORTED.match(message.text) or (status and int(status[1]) in self.expected):
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.complaints.append(f"{self.page.url}: {error.error}")

    def _asked(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message or dialog.type)
        if self.dismisses:
            dialog.dismiss()
        else:
            dialog.accept()

    def log_in(self, name: str) -> None:
        """Log in by the login page, if that is where one is led."""
        self.page.goto("/services")
        self.page.get_by_label("이름").fill(name)
        self.give_password()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("서비스 전체 보기")

    def give_password(self) -> None:
        """Fill in the password, and log in."""
        self.page.get_by_label("비밀번호").fill(PASSWORD)
        self.page.get_by_role("button", name="로그인").click()

    def goto(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(path)
        return self.page

    def settle(self) -> None:
        """Wait until htmx has nothing under way."""
        expect(self.page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)

    def drafted(self) -> None:
        """Wait until the draft holds everything that is stored, on a page that says so."""
        expect(self.page.locator("#draft-state")).to_contain_text("저장한 내용이 모두 들어 있어요", timeout=60_000)
