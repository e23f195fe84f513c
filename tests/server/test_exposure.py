"""Keys and addresses: what they close on a live server, and what is refused before one starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import malgil
import pytest
from malgil._access import GRPC_KEY, HTTP_KEY
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server import exposure
from server.exposure import ADMIN_HEADER, CHANGING, DESCRIBING, KEY_HEADER, Exposure, from_options
from server.launcher import Server
from server.ports import Ports
from server.tls import Certificates
from server.triton import SetupError
from tests.client.certificates import SERVER_NAME
from tests.server.conftest import ADMIN_KEY, KEY, Secure

# A call of each group: over gRPC a method of tritonclient and its arguments, over HTTP a request.
CALLS: dict[str, tuple[str, tuple[Any, ...], str, str]] = {
    "shared-memory": ("get_system_shared_memory_status", (), "GET", "/v2/systemsharedmemory/status"),
    "model-repository": ("get_model_repository_index", (), "POST", "/v2/repository/index"),
    "trace": ("get_trace_settings", (), "GET", "/v2/trace/setting"),
    "logging": ("get_log_settings", (), "GET", "/v2/logging"),
    "metadata": ("get_server_metadata", (), "GET", "/v2"),
    "model-config": ("get_model_config", ("search",), "GET", "/v2/models/search/config"),
    "statistics": ("get_inference_statistics", ("search",), "GET", "/v2/models/search/stats"),
}


def grpc_opens(client: Any, group: str, headers: dict[str, str] | None = None) -> bool:
    method, arguments, _, _ = CALLS[group]
    try:
        getattr(client, method)(*arguments, headers=headers)
    except InferenceServerException as error:
        if "is restricted" not in str(error):
            raise
        return False
    return True


def http_opens(client: httpx.Client, group: str, headers: dict[str, str] | None = None) -> bool:
    _, _, verb, path = CALLS[group]
    status = client.request(verb, path, headers=headers).status_code
    assert status in {200, 403}
    return status == 200


@pytest.fixture(scope="module")
def secure_grpc(secure: Secure) -> Any:
    files = secure.authority
    return grpc.InferenceServerClient(
        secure.server.grpc_url.removeprefix("grpcs://"),
        ssl=True,
        root_certificates=files.ca,
        private_key=files.client_key,
        certificate_chain=files.client_cert,
        channel_args=[("grpc.ssl_target_name_override", SERVER_NAME)],
    )


def test_all_groups_have_a_call_here() -> None:
    assert set(CALLS) == {*CHANGING, *DESCRIBING}


@pytest.mark.parametrize("group", CALLS)
def test_on_loopback_calls_that_change_the_server_are_closed_and_those_that_describe_it_open(
    server: Server, group: str
) -> None:
    with httpx.Client(base_url=server.http_url) as client:
        assert http_opens(client, group) == (group in DESCRIBING)
    assert grpc_opens(grpc.InferenceServerClient(server.grpc_url), group) == (group in DESCRIBING)


@pytest.mark.parametrize("group", CALLS)
def test_the_admin_key_and_no_other_opens_the_rest(secure: Secure, secure_grpc: Any, group: str) -> None:
    with httpx.Client(base_url=secure.server.inner_http_url) as client:
        for headers in (None, {ADMIN_HEADER: "wrong"}, {ADMIN_HEADER: KEY}, {KEY_HEADER: KEY}):
            assert not http_opens(client, group, headers)
            grpc_headers = {f"triton-grpc-protocol-{name}": value for name, value in (headers or {}).items()}
            assert not grpc_opens(secure_grpc, group, grpc_headers)
        assert http_opens(client, group, {ADMIN_HEADER: ADMIN_KEY})
    assert grpc_opens(secure_grpc, group, {f"triton-grpc-protocol-{ADMIN_HEADER}": ADMIN_KEY})


def test_searches_need_the_search_key_and_health_needs_none(secure: Secure, secure_grpc: Any) -> None:
    for protocol in ("grpc", "http"):
        for key in (None, "wrong-key-of-some-length", ADMIN_KEY):
            with secure.client(protocol, key=key) as client:
                with pytest.raises(malgil.Forbidden, match="asks for a key"):
                    client.search("송금")
                with pytest.raises(malgil.Forbidden):
                    client.embed("송금")
                with pytest.raises(malgil.Forbidden):
                    client.suggest("송ㄱ")
        with secure.client(protocol) as client:
            assert client.search("송금")
            assert client.suggest("송ㄱ")
    assert secure_grpc.is_server_ready()
    inner = secure.server.inner_http_url
    assert httpx.get(f"{inner}/v2/health/ready").status_code == 200
    assert httpx.post(f"{inner}/v2/models/search/generate", json={"query": "송금"}).status_code == 403


def test_client_and_server_mean_the_same_header() -> None:
    assert (KEY_HEADER, f"triton-grpc-protocol-{KEY_HEADER}") == (HTTP_KEY, GRPC_KEY)


def test_keys_are_in_no_log_and_no_repr(secure: Secure) -> None:
    text = secure.log.read_text(errors="replace")
    assert "Started GRPCInferenceService" in text
    shown = repr(secure.server._exposure)
    assert not [key for key in (KEY, ADMIN_KEY) if key in text or key in shown]


def test_under_tls_metrics_stay_on_loopback_unless_asked_for_elsewhere(secure: Secure) -> None:
    assert secure.server.metrics_url.startswith("http://127.0.0.1:")
    assert b"nv_inference_count" in httpx.get(secure.server.metrics_url).content
    certificates = Certificates(Path("c"), Path("k"))
    assert Exposure("0.0.0.0", certificates=certificates).metrics == "127.0.0.1"
    assert Exposure("0.0.0.0", "0.0.0.0", certificates).metrics == "0.0.0.0"
    assert Exposure("10.0.0.1").metrics == "10.0.0.1"


def restricted(flags: list[str]) -> dict[str, str]:
    """For each group of calls, the key that opens it; the same for both protocols."""
    found: list[dict[str, str]] = []
    for option in ("grpc-restricted-protocol", "http-restricted-api"):
        matches = [re.fullmatch(rf"--{option}=([a-z,-]+):[a-z-]+=(.+)", flag) for flag in flags]
        found.append({group: match[2] for match in matches if match for group in match[1].split(",")})
    assert found[0] == found[1]
    return found[0]


def test_beyond_loopback_everything_but_searches_and_health_is_closed_by_a_key_nobody_knows() -> None:
    keys = [restricted(Exposure("0.0.0.0").flags(Ports(), Ports())) for _ in range(2)]
    assert set(keys[0]) == {*CHANGING, *DESCRIBING}
    assert len(set(keys[0].values())) == 1
    assert len(keys[0]["trace"]) > 40
    assert keys[0] != keys[1]
    assert set(restricted(Exposure("127.0.0.1").flags(Ports(), Ports()))) == set(CHANGING)
    assert set(restricted(Exposure("127.0.0.1", admin_key=ADMIN_KEY).flags(Ports(), Ports()))) == {
        *CHANGING,
        *DESCRIBING,
    }


def test_options_that_expose_or_contradict_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MALGIL_KEY", raising=False)
    monkeypatch.delenv("MALGIL_ADMIN_KEY", raising=False)
    with pytest.raises(SetupError, match=r"^--listen 0\.0\.0\.0 is beyond .*: give --tls-cert and --tls-key, or --ins"):
        from_options("0.0.0.0")
    assert from_options("0.0.0.0", insecure=True).listen == "0.0.0.0"
    assert from_options("0.0.0.0", tls_cert=Path("c"), tls_key=Path("k")).certificates is not None
    file = Path("file")
    for cert, key, ca in ((file, None, None), (None, file, None), (None, None, file)):
        with pytest.raises(SetupError, match="go together"):
            from_options(tls_cert=cert, tls_key=key, tls_client_ca=ca)
    secret = tmp_path / "key"
    for bad in ("short", "has spaces in the middle", "열쇠" * 20, "has,commas:and=signs-in-it", ""):
        secret.write_text(bad)
        with pytest.raises(SetupError, match=r"^--key-file .*: a key is 16 or more of the characters") as caught:
            from_options(key_file=secret)
        assert not bad or bad not in str(caught.value)
    with pytest.raises(SetupError, match=r"^--admin-key-file \S*/none cannot be read: No such file or directory$"):
        from_options(admin_key_file=tmp_path / "none")
    monkeypatch.setenv("MALGIL_KEY", "short")
    with pytest.raises(SetupError, match=r"^MALGIL_KEY: a key is"):
        from_options()


def test_keys_come_from_a_file_or_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MALGIL_KEY", KEY)
    monkeypatch.setenv("MALGIL_ADMIN_KEY", ADMIN_KEY)
    assert (from_options().key, from_options().admin_key) == (KEY, ADMIN_KEY)
    (tmp_path / "key").write_text("another-key-of-some-length\n")
    assert from_options(key_file=tmp_path / "key").key == "another-key-of-some-length"
    monkeypatch.setenv("MALGIL_KEY", "")
    assert exposure.read_key("--key-file", None, "MALGIL_KEY") is None


def test_the_command_refuses_to_be_exposed_and_says_how_it_may_be(repository: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "server", "--repository", str(repository), "--listen", "0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--tls-cert" in ended.stderr
