"""The console's image as far as it can be run without Docker: its folder is laid out, and it publishes from there."""

from __future__ import annotations

import http.cookiejar
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from malgil_core.index import history

from server.launcher import Server
from tests.conftest import CATALOG, NULL_TOPICS
from tests.image import STAGES
from tests.server.test_image import environment, read_only

STAGE = STAGES["console"]
VOLUMES = ("exported", "index", "console-data", "data", "first")
PASSWORD = "correct horse battery"


@pytest.fixture
def image(repository: Path, index: Path, tmp_path: Path) -> Iterator[Path]:
    """The image, with the volumes at their places."""
    root = tmp_path / "malgil"
    root.mkdir()
    STAGE.lay_out(root)
    (root / "exported").symlink_to(repository)
    shutil.copytree(index, root / "index")
    for name in ("console-data", "data", "first"):
        (root / name).mkdir()
    shutil.copy2(CATALOG, root / "data")
    (root / "first" / "password").write_text(f"{PASSWORD}\n", encoding="ascii")
    before = read_only(root, *VOLUMES)
    yield root
    assert read_only(root, *VOLUMES) == before
    for path in (root, *root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def variables(root: Path, **more: str) -> dict[str, str]:
    """Of a process in the image."""
    return {name: value.replace("/malgil/", f"{root}/") for name, value in environment(STAGE, **more).items()}


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose run --rm console …` runs."""
    command = [*STAGE.command("ENTRYPOINT"), *words]
    return subprocess.run(command, cwd=root, env=variables(root), capture_output=True, text=True, check=False)


class Browser:
    """A person's browser."""

    def __init__(self, address: str) -> None:
        self._address = address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def page(self, path: str) -> str:
        """A page."""
        with self._opener.open(self._address + path, timeout=30) as answer:
            html: str = answer.read().decode()
        return html

    def send(self, page: str, path: str, **fields: str) -> str:
        """The page after a form was sent that stands on a page."""
        (token, *_) = re.findall(r'name="csrf_token" value="([^"]+)"', self.page(page))
        data = urlencode({"csrf_token": token, **fields}).encode()
        with self._opener.open(self._address + path, data, timeout=30) as answer:
            html: str = answer.read().decode()
        return html


def test_the_image_asks_for_an_account_then_publishes_passes_its_health_check_and_writes_to_volumes_alone(
    image: Path, server: Server
) -> None:
    command = STAGE.command("CMD")
    refused = run(image, *command, "--port", "0")
    assert refused.returncode == 1
    assert "it has no accounts: add one" in refused.stderr
    first = ["account", "add", "admin", "--role", "publish", "--only-if", "none", "--password-file", "first/password"]
    assert run(image, *first).stdout == "admin: publish\n"
    assert run(image, *first).stdout == "there are accounts already\n"
    assert "150 added" in run(image, "import", f"data/{CATALOG.name}").stdout
    entrypoint = STAGE.command("ENTRYPOINT")
    running = subprocess.Popen(
        [*entrypoint, *command, "--port", "0"], cwd=image, env=variables(image, MALGIL_URL=server.grpc_url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout
        found = re.fullmatch(r"console: http://0\.0\.0\.0:(\d+)\n", running.stdout.readline())
        assert found
        check = [word.replace(":8010/", f":{found[1]}/") for word in STAGE.command("HEALTHCHECK")]
        subprocess.run(check, env=variables(image), check=True, timeout=10)
        browser = Browser(f"http://127.0.0.1:{found[1]}")
        assert 'name="password"' in browser.page("/services")
        assert "서비스 전체 보기" in browser.send("/login", "/login", name="admin", password=PASSWORD)
        browser.send("/publish", "/publish", note="첫 게시")
        deadline = time.monotonic() + 60
        while "게시했어요(세대 " not in (job := browser.page("/publish/job")):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        (generation,) = set(re.findall(r"게시했어요\(세대 (\d+)\)", job))
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0  # docker-compose.yml's stop_grace_period
    finally:
        running.kill()
        running.communicate()
    assert subprocess.run(check, env=variables(image), check=False, stderr=subprocess.DEVNULL).returncode == 1
    topics = len(NULL_TOPICS.read_bytes().splitlines())
    assert len(history.catalog(image / "index", int(generation))) == 150 + topics  # MALGIL_NULL_TOPICS of the image
    assert {path.name for path in (image / "console-data").iterdir()} == {"console.db", "console.secret"}
