"""TLS, certificates and keys: who talks to whom, and what is said when they do not."""

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
from tests.client.fake_triton import SERVERS, Brain, Certificates
from tests.client.test_cli import malgil

MODES = ["sync", "async"]
SECURE = {"grpc": "grpcs", "http": "https"}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("strange"))


@pytest.fixture
def brain() -> Brain:
    return Brain()


def serving(protocol: str, brain: Brain, by: Authority, mutual: bool = False) -> AbstractContextManager[str]:
    served: AbstractContextManager[str] = SERVERS[protocol](
        brain, certificates=Certificates(by.ca, by.cert, by.key, mutual)
    )
    return served


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, brain: Brain, ours: Authority) -> Iterator[str]:
    with serving(request.param, brain, ours) as url:
        yield url


@pytest.fixture(params=SERVERS)
def mutual_url(request: pytest.FixtureRequest, brain: Brain, ours: Authority) -> Iterator[str]:
    with serving(request.param, brain, ours, mutual=True) as url:
        yield url


@pytest.mark.parametrize("mode", MODES)
def test_a_trusted_server_is_asked_over_tls(url: str, mode: str, ours: Authority) -> None:
    with open_client(mode, url, tls=ours.trusting) as client:
        assert [result[0].name for result in client.search_many(["돈", "송금"])] == ["돈", "송금"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_asked_of_a_server_that_is_not_trusted_or_has_another_name(
    url: str, mode: str, ours: Authority, strange: Authority, brain: Brain
) -> None:
    for tls, reason in [
        (strange.trusting, "certificate"),
        (None, "certificate"),  # the authorities of the public internet
        (Tls(ca=ours.ca), "name|mismatch"),
        (Tls(ca=ours.ca, server_name="other.example"), "name|mismatch"),
    ]:
        with open_client(mode, url, tls=tls, retries=0) as client:
            with pytest.raises(
                Unavailable, match=rf"^no TLS connection to \S*127\.0\.0\.1:\d+: .*({reason})"
            ) as caught:
                client.search("돈")
            assert "\n" not in str(caught.value)
            assert client.ready() is False
    assert brain.requests == []


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_asks_for_a_certificate_answers_those_of_its_authority_only(
    mutual_url: str, mode: str, ours: Authority, strange: Authority, brain: Brain
) -> None:
    foreign = Tls(ours.ca, strange.client_cert, strange.client_key, SERVER_NAME)
    for tls in (ours.trusting, foreign):
        with open_client(mode, mutual_url, tls=tls, retries=0) as client, pytest.raises(Unavailable, match="TLS"):
            client.search("돈")
    assert brain.requests == []
    with open_client(mode, mutual_url, tls=ours.tls) as client:
        assert client.search("돈")[0].name == "돈"


@pytest.mark.parametrize("protocol", SERVERS)
def test_tls_to_a_server_without_it_says_so(protocol: str, brain: Brain, ours: Authority) -> None:
    with SERVERS[protocol](brain) as url:
        address = f"{SECURE[protocol]}://{url.removeprefix('http://')}"
        with (
            SearchClient(address, tls=ours.tls, retries=0) as client,
            pytest.raises(Unavailable, match="the server does not speak TLS"),
        ):
            client.search("돈")


def test_a_client_without_tls_is_told_what_grpc_may_miss(brain: Brain, ours: Authority) -> None:
    with (
        serving("grpc", brain, ours) as url,
        SearchClient(url.removeprefix("grpcs://"), retries=0) as client,
        pytest.raises(Unavailable, match=r"does it speak TLS \(grpcs://\)\?"),
    ):
        client.search("돈")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", SERVERS)
def test_a_key_opens_and_a_missing_or_wrong_one_is_forbidden_once(protocol: str, mode: str, brain: Brain) -> None:
    brain.key = "open-sesame"
    with SERVERS[protocol](brain) as url:
        with open_client(mode, url, key="open-sesame") as client:
            assert client.search("돈")
        for key in (None, "wrong"):
            brain.headers.clear()
            with open_client(mode, url, key=key) as client:
                with pytest.raises(Forbidden, match="asks for a key") as caught:
                    client.search("돈")
                assert len(brain.headers) == 1  # asking again would not help
                assert "open-sesame" not in str(caught.value)
                assert "wrong" not in str(caught.value).split()
                assert client.ready() is False


@pytest.mark.parametrize("client", [SearchClient, AsyncSearchClient])
def test_settings_of_no_use_are_told_when_the_client_is_made(
    client: Any, ours: Authority, strange: Authority, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no certificate")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(ours.client_key.read_bytes(), None)
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
        (Tls(None, ours.client_cert, strange.client_key), r"^tls: cert and key: .* do not belong together$"),
        (Tls(None, tmp_path / "none", ours.client_key), r"^tls: cert and key: .* cannot be read: No such file"),
        (
            Tls(None, ours.client_cert, locked),
            r"^tls: cert and key: .* is encrypted: write the key without a password$",
        ),
    ]:
        for scheme in SECURE.values():
            with pytest.raises(ValueError, match=sentence):
                client(f"{scheme}://localhost:1", tls=tls)
    with pytest.raises(ValueError, match="cert and key go together"):
        Tls(cert=ours.cert)
    with pytest.raises(TypeError, match=r"^tls: ca must be a path"):
        Tls(ca=b"pem")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^tls must be malgil\.Tls, not str"):
        client("grpcs://localhost:1", tls="ca.pem")
    for plain in ("localhost:1", "http://localhost:1"):
        with pytest.raises(ValueError, match="is without TLS, for which tls is given: write grpcs:// or https://"):
            client(plain, tls=ours.tls)
    for bad in ("", "two words", "line\nbreak", "열쇠"):
        with pytest.raises(ValueError, match=r"^key: must be of visible ASCII") as caught:
            client(key=bad)
        assert not bad or bad not in str(caught.value)
    with pytest.raises(TypeError, match=r"^key must be str, not bytes"):
        client(key=b"key")


def test_the_command_takes_certificates_and_key_by_option_and_by_environment(
    mutual_url: str, ours: Authority, brain: Brain, tmp_path: Path
) -> None:
    brain.key = "open-sesame"
    key = tmp_path / "key"
    key.write_text("open-sesame\n")
    files = [str(path) for path in (ours.ca, ours.client_cert, ours.client_key)]
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
