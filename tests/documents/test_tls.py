"""TLS to an engine: documents are found through it, and nothing is sent to one that is not who it should be."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
import trustme
from malgil_core.documents.request import DocumentsRequest
from malgil_core.documents.types import DocumentOptions
from malgil_core.encoder import EncoderMetadata

from documents.collection import ALIAS
from documents.embedded import embedded
from documents.engine import Access, Engine, EngineError
from documents.ingest import Embed
from documents.passages import Splitter
from documents.retriever import Retriever
from tests.documents.corpus import DOCUMENTS, Corpus
from tests.live import until

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Passing(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Passes each call on to the engine behind a channel; `tokens` are those that came with the calls."""

    def __init__(self, engine: grpc.Channel) -> None:
        self.engine, self.tokens = engine, set[str]()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a call, whatever its method is."""
        method = self.engine.unary_unary(call.method)
        self.tokens |= {value for name, value in call.invocation_metadata if name == "authorization"}

        def answer(request: bytes, context: grpc.ServicerContext) -> Any:
            try:
                return method(request, metadata=context.invocation_metadata())
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of two authorities: the engine's, and another."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def passing(folder: Path) -> Iterator[tuple[Passing, Access]]:
    """An engine behind TLS, and how to reach it with its authority's certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "foreign.pem")
    certificate = authority.issue_cert("127.0.0.1")
    chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    with embedded() as uri, grpc.insecure_channel(urlsplit(uri).netloc) as engine, ThreadPoolExecutor(8) as pool:
        handler = Passing(engine)
        proxy = grpc.server(pool, [handler])
        port = proxy.add_secure_port("127.0.0.1:0", credentials)
        proxy.start()
        yield handler, Access(f"https://127.0.0.1:{port}", tls_ca=folder / "ca.pem")
        proxy.stop(None).wait()


@pytest.fixture
def secure(passing: tuple[Passing, Access]) -> Access:
    """How to reach it."""
    return passing[1]


def test_documents_are_written_and_found_through_tls(
    secure: Access, encoder: EncoderMetadata, splitter: Splitter, embed: Callable[[str], Embed]
) -> None:
    engine = Engine(secure)
    try:
        corpus = Corpus(engine, ALIAS, encoder, splitter, embed)
        corpus.ingest(*DOCUMENTS)
        assert corpus.ids("이체 한도")[0] == "limit"
        corpus.searcher.close()
    finally:
        engine.close()
    retriever = Retriever(secure, encoder.fingerprint, print)
    try:
        request = DocumentsRequest(["이체 한도"], embed("query")(["이체 한도"]), [DocumentOptions(1)], 5.0)
        until(lambda: retriever.answer([request])[0].status == "ok")
        (answer,) = retriever.answer([request])
        assert [document.id for document in answer.found[0]] == ["limit"]
    finally:
        retriever.close()


def test_the_token_is_sent_with_each_call_as_milvus_wants_it(passing: tuple[Passing, Access]) -> None:
    handler, access = passing
    handler.tokens.clear()
    engine = Engine(replace(access, token="root:secret"))
    engine.call("list_collections")
    engine.close()
    assert handler.tokens == {base64.b64encode(b"root:secret").decode()}


def test_an_engine_whose_certificate_is_of_another_authority_is_not_talked_to(secure: Access, folder: Path) -> None:
    for access in (Access(secure.uri, tls_ca=folder / "foreign.pem"), Access(secure.uri)):
        with pytest.raises(EngineError, match=f"{secure.uri}: no engine answers"):
            Engine(access, 2.0)


def test_an_engine_behind_tls_is_not_talked_to_without(secure: Access) -> None:
    with pytest.raises(EngineError, match="no engine answers"):
        Engine(Access(secure.uri.replace("https:", "http:")), 2.0)


def test_certificates_that_are_not_there_are_named(secure: Access, folder: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.pem"):
        Engine(Access(secure.uri, tls_ca=folder / "none.pem"), 2.0)
