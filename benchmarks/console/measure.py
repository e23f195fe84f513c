"""The measurements of one console over a catalog of one size."""

from __future__ import annotations

import http.client
import json
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import uvicorn
from malgil_core.catalog.reading import Catalog, read_catalog
from threadpoolctl import threadpool_limits

from benchmarks import CATALOG, QUERIES, ROOT
from benchmarks.console.catalog import PHRASES, grown
from console.app import make_app
from console.draft import Draft
from console.publishing import Publishing
from console.settings import Settings
from export.catalog import labelled
from export.catalog.access import Access
from server.launcher import REPOSITORY
from store.store import Store

PAGES = (
    "/services", "/services?q=송금", "/services/101", "/search", "/search/tests", "/data", "/publish", "/null-topics",
    "/audit",
)  # fmt: skip
TURNS = 15  # of each page
REBUILDS = 3


@dataclass(frozen=True)
class Times:
    """Milliseconds of one kind of request."""

    name: str
    requests: int
    p50: float
    p95: float
    longest: float

    @classmethod
    def of(cls, name: str, seconds: Sequence[float]) -> Times:
        """The figures of some requests."""
        ordered = sorted(1000 * one for one in seconds)
        at_95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        return cls(name, len(ordered), statistics.median(ordered), at_95, ordered[-1])


@dataclass(frozen=True)
class Figures:
    """What one size of catalog gives.

    Attributes:
        services, texts: of the catalog.
        first_s: seconds until the first draft is searched, every text embedded.
        rebuild_s: seconds from a save to a draft that has it, the median.
        times: of pages and of what is typed.
    """

    services: int
    texts: int
    first_s: float
    rebuild_s: float
    times: list[Times]

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


class Browser:
    """A connection that is kept, and a session's token."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        html = self.get("/services")[1]
        found = re.search(r'X-CSRF-Token": "([^"]+)"', html.replace("&#34;", '"'))
        assert found
        self._token = found[1]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, part: bool = False) -> tuple[float, str]:
        """Seconds and content of a page, or of the part that htmx asks for."""
        headers = {"Cookie": self._cookie} if hasattr(self, "_cookie") else {}
        return self._ask("GET", path, None, {**headers, **({"HX-Request": "true"} if part else {})})

    def post(self, path: str, fields: dict[str, str]) -> float:
        """Seconds of what a form sends by htmx."""
        headers = {
            "Cookie": self._cookie, "HX-Request": "true", "X-CSRF-Token": self._token,
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        return self._ask("POST", path, urlencode(fields), headers)[0]

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[float, str]:
        started = time.perf_counter()
        self._connection.request(method, quote(path, safe="/?=&%"), body, headers)
        response = self._connection.getresponse()
        content = response.read().decode()
        seconds = time.perf_counter() - started
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:200]}")
        if cookie := response.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        return seconds, content


def measure(url: str, services: int, keystrokes: int, say: Callable[[str], None]) -> Figures:
    """Measure a console with a catalog of so many services."""
    sample = read_catalog(CATALOG)
    catalog = Catalog(grown(sample.services, services))
    with tempfile.TemporaryDirectory(prefix="malgil-console-") as folder:
        settings = Settings(
            database=f"sqlite:///{folder}/console.db",
            index=ROOT / "index",
            repository=REPOSITORY,
            access=Access(url),
            secret_file=Path(folder, "secret"),
        )
        store = Store.open(settings.database)
        content = "".join(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in catalog.services)
        store.replace(content.encode(), "benchmark", by="benchmark")
        draft = Draft(store, settings.access.client, settings.index, settings.repository)
        started = time.perf_counter()
        draft.refresh()
        if draft.state.problem:
            raise RuntimeError(draft.state.problem)
        first = time.perf_counter() - started
        say(f"{services:,} services: the first draft took {first:.1f} s")
        threadpool_limits(1, user_api="blas")  # as `python -m console` does
        draft.start()
        with _serving(settings, store, draft) as port, closing(Browser(port)) as browser:
            times = [Times.of(page, [browser.get(page)[0] for _ in range(TURNS + 1)][1:]) for page in PAGES]
            typed = _typed(keystrokes)
            for part in typed[:10]:
                browser.get(f"/search?form=1&null=1&q={part}", part=True)
            times.append(Times.of("search as one types", [_search(browser, one) for one in typed]))
            times.append(Times.of("warnings as one types", _warnings(browser, store, typed[: len(typed) // 3])))
            rebuilds, meanwhile = [], []
            for turn in range(REBUILDS):
                rebuilds.append(
                    _rebuild(store, draft, turn, lambda at: meanwhile.append(_search(browser, typed[at % len(typed)])))
                )
            times.append(Times.of("search during a rebuild", meanwhile))
        draft.stop()
        store.close()
    texts = sum(len(one.texts) for one in catalog.services)
    return Figures(services, texts, first, statistics.median(rebuilds), times)


def _typed(most: int) -> list[str]:
    """What a search bar sends while labelled queries are typed, letter by letter."""
    queries = [one.query for one in labelled.read(QUERIES)]
    return [query[:length] for query in queries[::7] for length in range(1, len(query) + 1) if query[:length].strip()][
        :most
    ]


def _search(browser: Browser, typed: str) -> float:
    return browser.get(f"/search?{urlencode({'form': 1, 'null': 1, 'q': typed})}", part=True)[0]


def _warnings(browser: Browser, store: Store, typed: Sequence[str]) -> list[float]:
    service = store.service(101).value
    lines = [*service.phrases[:PHRASES]]

    def ask(line: str) -> float:
        fields = {"name": service.name, "phrases": "\n".join([*lines, line])}
        return browser.post("/services/101/warnings", fields)

    ask("")  # the lines that stand there already
    return [ask(one) for one in typed]


def _rebuild(store: Store, draft: Draft, turn: int, meanwhile: Callable[[int], None]) -> float:
    """Seconds from a save to a draft that has it; searches go on meanwhile."""
    stored = store.service(101)
    service = replace(stored.value, phrases=(*stored.value.phrases, f"비둘기 {turn}마리로 돈을 날려 보내기"))
    started = time.perf_counter()
    store.save_service(service, by="benchmark", expected=stored.version)
    revision, at = store.revision(), 0
    draft.changed()
    while draft.state.revision != revision:
        if draft.state.problem or time.perf_counter() > started + 300:
            raise RuntimeError(draft.state.problem or "the draft was not rebuilt within 300 s")
        meanwhile(at)
        at += 1
    return time.perf_counter() - started


@contextmanager
def _serving(settings: Settings, store: Store, draft: Draft) -> Iterator[int]:
    """The port of the console, served by a thread."""
    app = make_app(settings, store, "x" * 48, draft, Publishing(settings, store, draft))
    server = uvicorn.Server(
        uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", access_log=False, timeout_keep_alive=600)
    )
    thread = threading.Thread(target=server.run, name="console")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the console did not start")
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
