"""TLS of the server: what it shows and asks for, what it refuses to start with, and that it leaves nothing."""

from __future__ import annotations

import datetime
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import malgil
import psutil
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from server.tls import Certificates
from server.triton import SetupError
from tests.client.certificates import SERVER_NAME, Authority, write
from tests.client.test_cli import malgil as command
from tests.conftest import CATALOG
from tests.server.conftest import KEY, Secure
from tests.server.test_launcher import gone, scratch, shared_memory

DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_client_with_certificate_and_key_searches_over_tls(secure: Secure, protocol: str) -> None:
    with secure.client(protocol) as client:
        assert client.search("돈 보내기", top_k=1)[0].name == "송금"
        assert len(client.search_many(["송금", "환전"] * 20, concurrency=16)) == 40
        assert client.embed("송금").shape == (384,)
        with pytest.raises(malgil.BadRequest, match=r"blank"):
            client.search(" ")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_nobody_without_a_certificate_of_the_authority_is_answered(
    secure: Secure, protocol: str, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path / "foreign")
    stranger = malgil.Tls(secure.authority.ca, foreign.client_cert, foreign.client_key, SERVER_NAME)
    for tls in (secure.authority.trusting, stranger, malgil.Tls(ca=foreign.ca)):
        with secure.client(protocol, tls=tls) as client, pytest.raises(malgil.Unavailable, match="TLS"):
            client.search("송금")
    plain = secure.url(protocol).replace("grpcs:", "grpc:").replace("https:", "http:")
    with secure.client(protocol, tls=None) as client, pytest.raises(malgil.Unavailable):
        client.search("송금")
    with malgil.SearchClient(plain, key=KEY, retries=0) as client, pytest.raises(malgil.Unavailable, match="TLS"):
        client.search("송금")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_catalog_is_published_through_a_server_that_asks_for_certificate_and_key(
    secure: Secure, protocol: str, repository: Path, tmp_path: Path
) -> None:
    authority, key = secure.authority, tmp_path / "key"
    key.write_text(KEY)
    catalog = tmp_path / "catalog.jsonl"
    catalog.write_text(CATALOG.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    publish = ["publish", str(catalog), "--index", str(tmp_path / "index"), "--repository", str(repository)]
    options = ["--tls-cert", str(authority.client_cert), "--tls-key", str(authority.client_key), "--key-file", str(key)]
    variables = {"MALGIL_URL": secure.url(protocol), "MALGIL_TLS_CA": str(authority.ca), "MALGIL_TLS_NAME": SERVER_NAME}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "export", "catalog", *publish, *words]
        environment = {**os.environ, **variables, **more}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    refused = run(*options[:4], MALGIL_KEY="another")
    assert refused.returncode == 1
    assert "another" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "index" / "CURRENT").exists()
    done = run(*options)
    assert done.returncode == 0, done.stderr
    assert "generation 1 serves" in done.stdout


def test_old_tls_is_not_spoken(secure: Secure) -> None:
    for port in (secure.server.ports.http, secure.server.ports.grpc):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(raw)


def test_bad_certificates_are_refused_in_a_sentence_before_anything_starts(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    now = datetime.datetime.now(datetime.timezone.utc)
    ended = ours.authority.issue_cert("x", not_before=now - 9 * DAY, not_after=now - DAY)
    early = ours.authority.issue_cert("x", not_before=now + DAY, not_after=now + 9 * DAY)
    folder = tmp_path / "made"
    folder.mkdir()
    locked = folder / "locked.key"
    key = serialization.load_pem_private_key(ours.key.read_bytes(), None)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))
    none, text = folder / "none", folder / "text"
    text.write_text("hello")
    for files, sentence in [
        ((none, ours.key), r"^--tls-cert .*/none cannot be read: No such file or directory$"),
        ((folder, ours.key), r"^--tls-cert .* cannot be read: Is a directory$"),
        ((text, ours.key), r"^--tls-cert .*/text holds no certificate in PEM$"),
        ((ours.cert, none), r"^--tls-key .*/none cannot be read: No such file or directory$"),
        ((ours.cert, text), r"^--tls-key .*/text holds no private key in PEM"),
        ((ours.cert, other.key), r"^--tls-key \S+ is not the key of --tls-cert \S+$"),
        ((ours.cert, locked), r"^--tls-key .*/locked.key is encrypted"),
        ((ours.cert, ours.key, none), r"^--tls-client-ca .*/none cannot be read"),
        ((ours.cert, ours.key, text), r"^--tls-client-ca .*/text holds no certificate in PEM$"),
        (write(folder, "ended", ended), r"^--tls-cert .*/ended.pem: certificate has expired$"),
        (write(folder, "early", early), r"^--tls-cert .*/early.pem: certificate is not yet valid$"),
    ]:
        with pytest.raises(SetupError, match=sentence):
            Certificates(*files).check()
    assert Certificates(ours.cert, ours.key, ours.ca).check() is None


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_a_certificate_that_expires_soon_is_reported_and_serves(tmp_path: Path, kind: trustme.KeyType) -> None:
    soon = datetime.datetime.now(datetime.timezone.utc) + 3.5 * DAY
    certificate = trustme.CA().issue_cert("x", not_after=soon, key_type=kind)
    warning = Certificates(*write(tmp_path, "soon", certificate)).check()
    assert warning is not None
    assert re.search(r"soon.pem expires in [34] days, at .*: renew it", warning)


@pytest.mark.live
def test_the_command_serves_over_tls_survives_its_nginx_and_leaves_nothing(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    ours = Authority(tmp_path / "ours")
    options = ["--free-ports", "--tls-cert", str(ours.cert), "--tls-key", str(ours.key)]
    probe = {"MALGIL_TLS_CA": str(ours.ca), "MALGIL_TLS_NAME": SERVER_NAME, "MALGIL_KEY": KEY}
    log = tmp_path / "log"
    with log.open("wb") as stream:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "server", "--repository", str(repository), *options],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env=os.environ | {"MALGIL_KEY": KEY},
        )
    try:
        assert launcher.stdout
        announced = "".join(launcher.stdout.readline() for _ in range(4))
        assert announced.startswith("ready"), (announced, log.read_text(errors="replace")[-3000:])
        grpc, http = re.findall(r"^ +(?:gRPC|HTTP) +(\S+)$", announced, re.MULTILINE)
        assert (grpc[:8], http[:8]) == ("grpcs://", "https://")
        for url in (grpc, http):
            done = command("probe", "--url", url, env=probe)
            assert done.returncode == 0, done.stderr
        children = set(psutil.Process(launcher.pid).children(recursive=True))
        folders = scratch(launcher)
        nginx = next(one for one in children if "nginx: master" in " ".join(one.cmdline()))
        workers = set(nginx.children())
        assert workers
        nginx.kill()
        deadline = time.monotonic() + 15
        while command("probe", "--url", http, "--timeout", "1", env=probe).returncode:
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        assert "nginx, the proxy, ended with -9: starting it again" in log.read_text(errors="replace")
        assert gone(workers)
        children |= set(psutil.Process(launcher.pid).children(recursive=True))
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(30) == 0
        assert gone(children)
        assert not shared_memory(launcher.pid)
        assert folders
        assert not [folder for folder in folders if Path(folder).exists()]
    finally:
        launcher.kill()
        launcher.communicate()  # which closes its stdout, too
