"""A server and its log of events: the options, the door, kills, stops, a full disk."""

from __future__ import annotations

import contextlib
import itertools
import re
import resource
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import malgil
import psutil
import pytest
from click.testing import CliRunner
from malgil._access import GRPC_KEY
from malgil_core.events.reading import Damage, read, segments
from malgil_core.events.segment import OPEN
from tritonclient import grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from server import stubs
from server.__main__ import main
from server.exposure import KEY_HEADER
from server.launcher import START_SECONDS, Server
from server.ports import free_ports
from tests.client.certificates import SERVER_NAME
from tests.events import search, stored
from tests.live import infer, texts, until
from tests.server.conftest import KEY, Secure
from tests.server.test_launcher import SERVE
from tests.soak.wire import INFER, Call, grpc_infer, string

pytestmark = pytest.mark.live
INTERVAL = 1.0  # of model_repository/events/config.pbtxt


@dataclass
class Sender:
    """Sends numbered events in batches until it is stopped or the server is gone.

    Attributes:
        acknowledged: when each batch was answered with 1, and its events' numbers.
        dropped: events that were answered with 0.
    """

    url: str
    run: int
    acknowledged: list[tuple[float, range]] = field(default_factory=list)
    dropped: int = 0

    def send(self, stop: threading.Event, batch: int = 8) -> None:
        """Send until `stop`, or until a request fails."""
        with triton_grpc.InferenceServerClient(self.url) as client:
            for first in itertools.count(step=batch):
                numbers = range(first, first + batch)
                lines = [search(search_id=f"{number:032x}", k=self.run).as_json() for number in numbers]
                try:
                    taken = infer(client, "events", event=texts(lines))["accepted"]
                except InferenceServerException:
                    return
                if taken.all():
                    self.acknowledged.append((time.monotonic(), numbers))
                else:
                    self.dropped += batch
                if stop.wait(0.002):
                    return

    def due(self, ended: float) -> set[tuple[int, int]]:
        """The events that were acknowledged an interval before that time."""
        return {(self.run, number) for at, numbers in self.acknowledged if at <= ended - INTERVAL for number in numbers}


def found(folder: Path) -> set[tuple[int, int]]:
    """The events of a folder, by run and number; none may be damaged."""
    damage = Damage()
    numbers = [(event.k, int(event.search_id, 16)) for event in read(folder, damage)]
    assert damage.lines == 0
    assert len(numbers) == len({*numbers})
    return {*numbers}


@pytest.fixture
def start(repository: Path, index: Path, tmp_path: Path) -> Iterator[Callable[[Path], Server]]:
    """Starts servers that log to a folder; they are stopped in the end."""
    servers: list[Server] = []
    with (tmp_path / "log").open("ab") as log:

        def started(folder: Path) -> Server:
            servers.append(Server(repository, free_ports(), log=log, environment={"MALGIL_EVENTS": str(folder)}))
            servers[-1].start()
            servers[-1].wait_ready()
            return servers[-1]

        yield started
        for server in servers:
            server.stop()


def test_the_options_say_where_events_go_and_that_queries_are_kept(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "새 폴더" / "events"
    command = [*SERVE, "--free-ports", "--repository", str(repository), "--events", str(folder), "--log-queries"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as launcher,
    ):
        try:
            assert launcher.stdout
            announced = "".join(launcher.stdout.readline() for _ in range(5))
            assert f"  events     {folder}\n" in announced, (tmp_path / "log").read_text(errors="replace")[-3000:]
            (url,) = re.findall(r"gRPC +(\S+)", announced)
            with triton_grpc.InferenceServerClient(url) as client:
                assert infer(client, "events", event=texts([search(query="송금").as_json()]))["accepted"].item() == 1
            launcher.send_signal(signal.SIGTERM)
            assert launcher.wait(40) == 0
        finally:
            launcher.kill()
    assert list(read(folder)) == [search(query="송금")]
    assert not segments(folder)[0].name.endswith(OPEN)


def test_a_folder_that_cannot_be_made_is_one_sentence_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for options, variables in (
        (["--events", str(tmp_path / "file" / "events")], {}),
        ([], {"MALGIL_EVENTS": str(tmp_path / "file" / "events")}),
    ):
        result = CliRunner().invoke(main, [*options, "--free-ports"], env=variables)
        assert (result.exit_code, result.output) == (1, f"--events {tmp_path}/file/events: Not a directory\n")


def test_events_come_through_the_door_of_tls_and_keys_like_searches(secure: Secure, repository: Path) -> None:
    files, search_id = secure.authority, uuid4().hex
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.client_key.read_bytes(), files.client_cert.read_bytes()
    )
    body = grpc_infer(Call("events", (string("event", search(search_id=search_id).as_json()),))).body
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    with grpc.secure_channel(secure.server.grpc_url.removeprefix("grpcs://"), credentials, options) as channel:
        call = channel.unary_unary(INFER)
        with pytest.raises(grpc.RpcError, match="restricted"):
            call(body, timeout=30)
        call(body, timeout=30, metadata=[(GRPC_KEY, KEY)])
    url = f"{secure.server.http_url}/v2/models/events/generate"
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.client_cert, files.client_key)
    context.check_hostname = False
    line = {"event": search(search_id=search_id, k=2).as_json().decode()}
    assert httpx.post(url, json=line, verify=context).status_code == 403
    assert httpx.post(url, json=line, verify=context, headers={KEY_HEADER: KEY}).status_code == 200
    assert sorted(event.k for event in stored(repository.parent / "events", search_id, 2)) == [1, 2]


def kill_all(server: Server) -> None:
    """Kill Triton and its models' processes at once, as the kernel does where memory runs out."""
    victims = [psutil.Process(server.process.pid), *stubs.find(server.process.pid)]
    for victim in victims:
        victim.suspend()  # none of them may notice that another one dies
    for victim in victims:
        victim.kill()


def killed_and_read(start: Callable[[Path], Server], folder: Path, run: int, seconds: float) -> None:
    """Kill a server under load, and look at what it has left."""
    server = start(folder)
    sender, stop = Sender(server.grpc_url, run), threading.Event()
    thread = threading.Thread(target=sender.send, args=(stop,))
    thread.start()
    until(lambda: bool(sender.acknowledged))
    time.sleep(seconds)
    ended = time.monotonic()
    kill_all(server)
    stop.set()
    server.stop(at_once=True)
    thread.join()
    due, left = sender.due(ended), found(folder)
    assert due
    assert not due - left, f"{len(due - left)} of {len(due)} events that were due are lost"


@pytest.mark.slow
def test_a_killed_server_loses_no_event_older_than_the_interval(
    start: Callable[[Path], Server], tmp_path: Path
) -> None:
    for run, seconds in enumerate((1.7, 2.2, 2.9), start=1):
        killed_and_read(start, tmp_path / "events", run, seconds)


@pytest.mark.soak
def test_a_server_killed_fifty_times_loses_no_event_older_than_the_interval(repository: Path, tmp_path: Path) -> None:
    def start(folder: Path) -> Server:
        """A Triton that loads this model alone, which takes seconds less."""
        flags = ["--model-control-mode=explicit", "--load-model=events"]
        environment = {"MALGIL_EVENTS": str(folder)}
        server = Server(repository, free_ports(), log=log, flags=flags, environment=environment)
        server.start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{server.http_url}/v2/models/events/ready").is_success:
                    return server
            time.sleep(0.1)
        server.stop(at_once=True)
        raise AssertionError((tmp_path / "log").read_text(errors="replace")[-3000:])

    with (tmp_path / "log").open("wb") as log:
        for run in range(1, 51):
            killed_and_read(start, tmp_path / "events", run, 1.5 + run / 25)


@pytest.mark.slow
def test_a_stopped_server_loses_no_event_and_leaves_nothing_open(
    start: Callable[[Path], Server], tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    server = start(folder)
    senders, stop = [Sender(server.grpc_url, run) for run in (1, 2)], threading.Event()
    threads = [threading.Thread(target=sender.send, args=(stop,)) for sender in senders]
    for thread in threads:
        thread.start()
    until(lambda: sum(len(sender.acknowledged) for sender in senders) > 200)
    server.stop()
    stop.set()
    for thread in threads:
        thread.join()
    acknowledged = {
        (sender.run, number) for sender in senders for _, numbers in sender.acknowledged for number in numbers
    }
    assert len(acknowledged) > 1000
    assert acknowledged <= found(folder)
    assert not any(path.name.endswith(OPEN) for path in segments(folder))


@pytest.mark.slow
def test_a_full_disk_drops_events_and_counts_them_while_searches_go_on_and_room_brings_them_back(
    start: Callable[[Path], Server], tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    server = start(folder)
    (process,) = (stub for stub, name in stubs.find(server.process.pid).items() if name.startswith("events"))
    assert process.nice() == min(psutil.Process(server.process.pid).nice() + 10, 19)  # searches go first
    sender, stop = Sender(server.grpc_url, 1), threading.Event()
    thread = threading.Thread(target=sender.send, args=(stop,))
    thread.start()
    until(lambda: bool(sender.acknowledged))
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))  # every write to a file fails from now on
    until(lambda: sender.dropped > 0)
    dropped = sender.dropped
    with malgil.SearchClient(server.grpc_url, retries=0) as client:
        for _ in range(50):
            assert client.search("송금", top_k=1)[0].name == "송금"
    until(lambda: sender.dropped > dropped)
    taken = len(sender.acknowledged)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    until(lambda: len(sender.acknowledged) > taken)
    with httpx.Client() as metrics:

        def counted() -> float:
            page = metrics.get(server.metrics_url).text
            (line,) = re.findall(r'^malgil_events_total\{.*status="dropped".*\} (\S+)$', page, re.M)
            return float(line)

        until(lambda: counted() > 0)
        stop.set()
        thread.join()
        assert 0 < counted() <= sender.dropped
    server.stop()
    assert found(folder) == {(1, number) for _, numbers in sender.acknowledged for number in numbers}
    assert "events are written again" in (tmp_path / "log").read_text(errors="replace")


def test_a_server_whose_folder_of_events_is_read_only_searches_all_the_same(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with (
        (tmp_path / "log").open("wb") as log,
        Server(repository, free_ports(), log=log, environment={"MALGIL_EVENTS": str(tmp_path / "file")}) as server,
    ):
        assert server.wait_ready() is not None
        with triton_grpc.InferenceServerClient(server.grpc_url) as client:
            assert infer(client, "events", event=texts([search().as_json()]))["accepted"].item() == 0
        with server.client() as client:
            assert client.search("송금", top_k=1)[0].name == "송금"
    assert f"error: events: events are dropped: {tmp_path}/file cannot be written to" in (tmp_path / "log").read_text()
