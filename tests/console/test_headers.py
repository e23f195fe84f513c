"""What browsers may do with a page, and what of it leaves the browser."""

from __future__ import annotations

import hashlib
import re

import pytest

from console import templating
from tests.console.conftest import Person

# htmx.org 2.0.11, as `npm pack htmx.org@2.0.11` brings it: package/dist/htmx.min.js.
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


@pytest.mark.parametrize("path", ["/services", "/services/100", "/services/999999", "/login", "/static/style.css"])
def test_a_script_that_got_into_a_page_does_not_run_and_no_site_can_frame_one(path: str, me: Person) -> None:
    response = me.http.get(path)
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/services", "/services/100", "/null-topics", "/audit", "/services.csv"])
def test_a_page_is_not_left_in_a_cache_where_the_next_user_of_the_machine_finds_it(path: str, me: Person) -> None:
    assert me.http.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/services", "/services/100", "/services/new", "/null-topics/new", "/audit"])
def test_no_page_needs_what_the_policy_forbids(path: str, me: Person) -> None:
    html = me.page(path)
    assert not re.search(r"<script(?![^>]* src=)", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert not re.search(r"(src|href)=\"(https?:)?//", html)


def test_the_vendored_htmx_is_the_published_one_and_a_page_turns_its_eval_off(me: Person) -> None:
    assert hashlib.sha256((templating.STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    html = me.page("/services")
    assert '"allowEval":false' in html
    assert '"includeIndicatorStyles":false' in html


def test_a_new_version_of_a_static_file_is_not_hidden_by_the_old_one_in_the_cache(me: Person) -> None:
    addresses = re.findall(r'"(/static/[^"]+)"', me.page("/services"))
    assert len(addresses) == 4
    for address in addresses:
        response = me.http.get(address)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
        name, version = re.fullmatch(r"/static/(.+)\?v=(\w+)", address).groups()  # type: ignore[union-attr]
        assert hashlib.sha256((templating.STATIC / name).read_bytes()).hexdigest().startswith(version)
