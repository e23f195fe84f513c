"""A console over a store of its own, and people who use it as browsers do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from console.app import Console, make_app
from console.security import accounts
from console.settings import Settings
from export import ROOT
from export.catalog.access import Access
from store.store import Store

SECRET = "x" * 48
PASSWORD = "correct horse battery"
CATALOG = ROOT / "catalogs/finance.jsonl"
ADDRESS = "http://127.0.0.1:8010"


class _Fields(HTMLParser):
    """The fields of the forms of a page: name → values, by the form's action."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self._action: str | None = None
        self._textarea: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in given}
        if tag == "form":
            self._action = attributes.get("action", "")
            self.forms[self._action] = []
        elif self._action is None or "name" not in attributes:
            return
        elif tag == "textarea":
            self._textarea, self._text = attributes["name"], ""
        elif tag == "input":
            kind = attributes.get("type", "text")
            if kind not in ("checkbox", "radio") or "checked" in attributes:
                self.forms[self._action].append((attributes["name"], attributes.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea is not None and self._action is not None:
            self.forms[self._action].append((self._textarea, self._text.removeprefix("\n")))
            self._textarea = None
        elif tag == "form":
            self._action = None


def fields(html: str, action: str) -> dict[str, Any]:
    """What a browser would send of a page's form; a name that stands several times has a list."""
    parser = _Fields()
    parser.feed(html)
    found: dict[str, Any] = {}
    for name, value in parser.forms[action]:
        if name not in found:
            found[name] = value
        else:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
    return found


class Person:
    """Somebody with a browser: pages are opened, forms are filled in and sent."""

    def __init__(self, app: Console, address: str = "127.0.0.1") -> None:
        self.http = TestClient(app, base_url=ADDRESS, client=(address, 40000), follow_redirects=False)

    def page(self, path: str, status: int = 200, **headers: str) -> str:
        """A page's HTML."""
        response = self.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert response.status_code == status, response.text
        text: str = response.text
        return text

    def token(self) -> str:
        """The CSRF token of the pages."""
        html = self.http.get("/login").text or self.http.get("/services").text
        found = re.search(r'X-CSRF-Token": "([^"]+)"', html.replace("&#34;", '"'))
        if found is None:
            html = self.http.get("/services").text
            found = re.search(r'X-CSRF-Token": "([^"]+)"', html.replace("&#34;", '"'))
        assert found, html
        return found[1]

    def send(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        """Post a form with the token of the session."""
        return self.http.post(path, data={"csrf_token": self.token(), **(data or {})}, **more)

    def log_in(self, name: str, password: str = PASSWORD, **data: str) -> Any:
        """Log in by the login page."""
        return self.send("/login", {"name": name, "password": password, **data})

    def form(self, path: str) -> dict[str, Any]:
        """The form of a page whose action is its path."""
        return fields(self.page(path), path.split("?", maxsplit=1)[0])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the sample catalog."""
    opened = Store.open(f"sqlite:///{tmp_path}/console.db")
    opened.replace(CATALOG.read_bytes(), "finance.jsonl", by="import")
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A console on loopback, without a server."""
    return Settings(
        database=f"sqlite:///{tmp_path}/console.db",
        index=tmp_path / "index",
        repository=ROOT / "model_repository",
        access=Access("127.0.0.1:1"),
        secret_file=tmp_path / "console.secret",
    )


@pytest.fixture
def app(settings: Settings, store: Store) -> Console:
    """A console without accounts."""
    return make_app(settings, store, SECRET)


@pytest.fixture
def me(app: Console) -> Person:
    """The user of this machine."""
    return Person(app)


@pytest.fixture(scope="session")
def hashed() -> str:
    """The hash of PASSWORD: made once, since it takes a while on purpose."""
    return accounts.hash_password(PASSWORD)


@pytest.fixture
def account(store: Store, hashed: str) -> Callable[[str, str], str]:
    """Makes an account with PASSWORD."""

    def made(name: str, role: str) -> str:
        store.save_account(name, role, hashed, by="test")  # type: ignore[arg-type]
        return name

    return made
