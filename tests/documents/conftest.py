"""Live engines for the tests, each started once: milvus-lite, and a Milvus server where namespaces are allowed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from malgil_core.encoder import EncoderMetadata
from malgil_core.text.tokenization import Tokenization

from documents.embedded import embedded
from documents.engine import Access, Engine
from documents.ingest import Embed
from documents.passages import Splitter
from export import ROOT
from export.catalog import embedding
from tests.documents import namespaced

REPOSITORY = ROOT / "model_repository"
START_SECONDS = 120.0


@pytest.fixture(scope="session")
def lite() -> Iterator[str]:
    """The address of a milvus-lite."""
    with embedded() as uri:
        yield uri


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server, which runs in a network namespace of its own."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a Milvus server needs unshare and ip, for a network namespace")
    unshare = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a Milvus server needs a network namespace, which is not allowed here")
    folder = tmp_path_factory.mktemp("milvus")
    path = str(folder / "socket")
    command = [*unshare, sys.executable, namespaced.__file__, str(folder / "data"), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + START_SECONDS
        while not Path(path).exists():
            assert process.poll() is None, "the Milvus server stopped while it started"
            assert time.monotonic() < deadline, "the Milvus server does not start"
            time.sleep(0.2)

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=namespaced.relay, args=(listener, connect), daemon=True).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        process.communicate()  # closes its standard input, upon which it stops


@pytest.fixture(params=["lite", "milvus"], scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A connection to each engine in turn."""
    connected = Engine(Access(request.getfixturevalue(request.param)))
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def splitter() -> Splitter:
    """Cuts bodies for the exported encoder."""
    return Splitter(Tokenization.load(REPOSITORY / "tokenizer" / "1"))


@pytest.fixture(scope="session")
def embed() -> Callable[[str], Embed]:
    """The exported encoder, by the kind of text."""
    made = {kind: embedding.offline(REPOSITORY, kind=kind) for kind in ("query", "passage", "phrase")}
    return made.__getitem__


@pytest.fixture(scope="session")
def encoder() -> EncoderMetadata:
    """The exported encoder's metadata."""
    return EncoderMetadata.of(REPOSITORY)
