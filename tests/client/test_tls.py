"""TLS, certificates and keys: which servers the client trusts, and the errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from malgil import AsyncSearchClient, Forbidden, SearchClient, Tls, Unavailable

from tests.client.blocking import open_client
from tests.client.certificates import SERVER_NAME, Authority
from tests.client.fake_triton import SERVERS, Certificates, Scenario
from tests.client.test_cli import malgil

MODES = ["sync", "async"]
SECURE = {"grpc": "grpcs", "http": "https"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


def serving(protocol: str, scenario: Scenario, by: Authority, mutual: bool = False) -> AbstractContextManager[str]:
    served: AbstractContextManager[str] = SERVERS[protocol](
        scenario, certificates=Certificates(by.ca, by.cert, by.key, mutual)
    )
    return served


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, scenario: Scenario, authority: Authority) -> Iterator[str]:
    with serving(request.param, scenario, authority) as url:
        yield url


@pytest.fixture(params=SERVERS)
def mutual_url(request: pytest.FixtureRequest, scenario: Scenario, authority: Authority) -> Iterator[str]:
    with serving(request.param, scenario, authority, mutual=True) as url:
        yield url


@pytest.mark.parametrize("mode", MODES)
def test_a_trusted_server_is_searched_over_tls(url: str, mode: str, authority: Authority) -> None:
    with open_client(mode, url, tls=authority.trusting) as client:
        assert [result[0].name for result in client.search_many(["돈", "송금"])] == ["돈", "송금"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sent_to_a_server_that_is_not_trusted_or_has_another_name(
    url: str, mode: str, authority: Authority, stranger: Authority, scenario: Scenario
) -> None:
    for tls, reason in [
        (stranger.trusting, "certificate"),
        (None, "certificate"),  # public authorities
        (Tls(ca=authority.ca), "name|mismatch"),
        (Tls(ca=authority.ca, server_name="other.example"), "name|mismatch"),
    ]:
        with open_client(mode, url, tls=tls, retries=0) as client:
            with pytest.raises(
                Unavailable, match=rf"^no TLS connection to \S*127\.0\.0\.1:\d+: .*({reason})"
            ) as caught:
                client.search("돈")
            assert "\n" not in str(caught.value)
            assert client.ready() is False
    assert scenario.requests == []


@pytest.mark.parametrize("mode", MODES)
def test_a_client_needs_a_certificate_of_the_authority_that_the_server_trusts(
    mutual_url: str, mode: str, authority: Authority, stranger: Authority, scenario: Scenario
) -> None:
    foreign = Tls(authority.ca, stranger.client_cert, stranger.client_key, SERVER_NAME)
    for tls in (authority.trusting, foreign):
        with open_client(mode, mutual_url, tls=tls, retries=0) as client, pytest.raises(Unavailable, match="TLS"):
            client.search("돈")
    assert scenario.requests == []
    with open_client(mode, mutual_url, tls=authority.tls) as client:
        assert client.search("돈")[0].name == "돈"


@pytest.mark.parametrize("protocol", SERVERS)
def test_the_error_tells_that_the_server_is_without_tls(
    protocol: str, scenario: Scenario, authority: Authority
) -> None:
    with SERVERS[protocol](scenario) as url:
        address = f"{SECURE[protocol]}://{url.removeprefix('http://')}"
        with (
            SearchClient(address, tls=authority.tls, retries=0) as client,
            pytest.raises(Unavailable, match="the server does not speak TLS"),
        ):
            client.search("돈")


def test_a_client_without_tls_is_told_that_the_server_may_require_it(scenario: Scenario, authority: Authority) -> None:
    with (
        serving("grpc", scenario, authority) as url,
        SearchClient(url.removeprefix("grpcs://"), retries=0) as client,
        pytest.raises(Unavailable, match=r"does it require TLS \(grpcs://\)\?"),
    ):
        client.search("돈")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", SERVERS)
def test_a_missing_or_wrong_key_is_forbidden_without_a_retry(protocol: str, mode: str, scenario: Scenario) -> None:
    scenario.key = "open-sesame"
    with SERVERS[protocol](scenario) as url:
        with open_client(mode, url, key="open-sesame") as client:
            assert client.search("돈")
        for key in (None, "mistaken"):
            scenario.headers.clear()
            with open_client(mode, url, key=key) as client:
                with pytest.raises(Forbidden, match="asks for a key") as caught:
                    client.search("돈")
                assert len(scenario.headers) == 1  # a retry would fail, too
                assert "open-sesame" not in str(caught.value)
                assert "mistaken" not in str(caught.value)
                assert client.ready() is False


@pytest.mark.parametrize("client", [SearchClient, AsyncSearchClient])
def test_bad_tls_settings_and_keys_are_refused_when_the_client_is_made(
    client: Any, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no certificate")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(authority.client_key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for tls, sentence in [
        (Tls(ca=tmp_path / "none"), r"^tls: ca: '.*/none' cannot be read: No such file or directory$"),
        (Tls(ca=tmp_path / "text"), r"^tls: ca: '.*/text' cannot be read as PEM$"),
        (Tls(None, authority.client_cert, stranger.client_key), r"^tls: cert and key: .* do not belong together$"),
        (Tls(None, tmp_path / "none", authority.client_key), r"^tls: cert and key: .* cannot be read: No such file"),
        (
            Tls(None, authority.client_cert, locked),
            r"^tls: cert and key: .* is encrypted: write the key without a password$",
        ),
    ]:
        for scheme in SECURE.values():
            with pytest.raises(ValueError, match=sentence):
                client(f"{scheme}://localhost:1", tls=tls)
    with pytest.raises(ValueError, match="cert and key go together"):
        Tls(cert=authority.cert)
    with pytest.raises(TypeError, match=r"^tls: ca must be a path"):
        Tls(ca=b"pem")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^tls must be malgil\.Tls, not str"):
        client("grpcs://localhost:1", tls="ca.pem")
    for plain in ("localhost:1", "http://localhost:1"):
        with pytest.raises(ValueError, match=r"^tls: given, but url .* is without TLS: write grpcs:// or https://"):
            client(plain, tls=authority.tls)
    for bad in ("", "two words", "line\nbreak", "열쇠"):
        with pytest.raises(ValueError, match=r"^key: must be of visible ASCII") as caught:
            client(key=bad)
        assert not bad or bad not in str(caught.value)
    with pytest.raises(TypeError, match=r"^key must be str, not bytes"):
        client(key=b"key")


def test_the_command_takes_certificates_and_key_by_option_and_by_environment(
    mutual_url: str, authority: Authority, scenario: Scenario, tmp_path: Path
) -> None:
    scenario.key = "open-sesame"
    key = tmp_path / "key"
    key.write_text("open-sesame\n")
    files = [str(path) for path in (authority.ca, authority.client_cert, authority.client_key)]
    options = ["--tls-ca", files[0], "--tls-cert", files[1], "--tls-key", files[2], "--tls-name", SERVER_NAME]
    names = ["MALGIL_TLS_CA", "MALGIL_TLS_CERT", "MALGIL_TLS_KEY", "MALGIL_TLS_NAME", "MALGIL_KEY"]
    environment = dict(zip(names, [*files, SERVER_NAME, "open-sesame"], strict=True))

    done = malgil("search", "돈", "--url", mutual_url, *options, "--key-file", str(key))
    assert (done.returncode, done.stderr) == (0, "")
    done = malgil("probe", env=environment | {"MALGIL_URL": mutual_url})
    assert (done.returncode, done.stderr) == (0, "")
    done = malgil("search", "돈", env=environment | {"MALGIL_URL": mutual_url, "MALGIL_KEY": ""})
    assert (done.returncode, done.stderr.count("\n")) == (7, 1)
    done = malgil("search", "돈", "--url", mutual_url, "--tls-ca", files[0], "--tls-name", SERVER_NAME)
    assert (done.returncode, done.stderr.count("TLS")) == (5, 1)
    done = malgil("search", "돈", "--url", mutual_url, "--key-file", str(tmp_path / "none"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--key-file" in done.stderr
