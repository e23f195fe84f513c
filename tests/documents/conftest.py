"""Live engines for the tests, each started once: milvus-lite, and a Milvus server where namespaces are allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from malgil_core.encoder import EncoderMetadata
from malgil_core.text.tokenization import Tokenization

from benchmarks.documents.milvus_server import milvus as milvus_server
from documents.embedded import embedded
from documents.engine import Access, Engine
from documents.ingest import Embed
from documents.passages import Splitter
from export import ROOT
from export.catalog import embedding
from server.triton import SetupError

REPOSITORY = ROOT / "model_repository"


@pytest.fixture(scope="session")
def lite() -> Iterator[str]:
    """The address of a milvus-lite."""
    with embedded() as uri:
        yield uri


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server."""
    with ExitStack() as running:
        try:
            uri, _ = running.enter_context(milvus_server(tmp_path_factory.mktemp("milvus")))
        except SetupError as error:
            pytest.skip(str(error))
        yield uri


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
