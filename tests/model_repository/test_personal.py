"""Personal layers on the live server: in `search` and `unified`, over gRPC, HTTP and JSON, alone and in batches."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

import malgil
import numpy as np
import pytest
from malgil_core.encoder import EncoderMetadata
from malgil_core.ranking.personal import HEADER
from tritonclient import grpc

from server.launcher import Server
from tests.client.blocking import open_client
from tests.live import inputs, texts
from tests.model_repository.test_batching import all_at_once
from tests.model_repository.test_json import post

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", params=["grpc-sync", "grpc-async", "http-sync", "http-async"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    protocol, mode = request.param.split("-")
    with open_client(mode, server.grpc_url if protocol == "grpc" else server.http_url, timeout=60) as client:
        yield client


def taught(client: Any, query: str, wanted: int, times: int = 10) -> malgil.PersonalLayer:
    """A layer of somebody who chooses a service after a query, time and again."""
    layer: malgil.PersonalLayer = client.new_layer()
    for _ in range(times):
        hits = client.search(query, top_k=20, personal=layer)
        client.learn(layer, query, hits, next(hit for hit in hits if hit.id == wanted))
    return layer


def test_a_client_learns_which_encoder_serves(client: Any, repository: Any) -> None:
    metadata = EncoderMetadata.of(repository)
    assert client.encoder() == metadata.fingerprint
    layer = client.new_layer()
    assert (layer.dimension, layer.encoder) == (metadata.dimension, metadata.fingerprint)
    assert not layer.vector.any()


@pytest.mark.parametrize("query", ["카드", "한도", "송ㄱ", "내일 비 와?", "돈 보내기"])
def test_an_answer_with_a_layer_of_zeros_is_that_without_one(client: Any, query: str) -> None:
    plain, zero = (client.search(query, top_k=50, explain=True, personal=own) for own in (None, client.new_layer()))
    assert plain == zero


def test_what_somebody_chooses_after_an_ambiguous_query_comes_first_next_time(client: Any) -> None:
    hits = client.search("한도", top_k=20)
    wanted = hits[4].id
    layer = taught(client, "한도", wanted)
    assert client.search("한도", personal=layer)[0].id == wanted
    assert client.search_many(["한도"], personal=layer)[0][0].id == wanted
    assert client.search_all("한도", personal=layer).services[0].id == wanted
    again = malgil.PersonalLayer.from_bytes(layer.to_bytes(), encoder=client.encoder())
    assert client.search("한도", personal=again)[0].id == wanted
    after = client.search("한도", top_k=1000, personal=layer)
    before = client.search("한도", top_k=1000)
    assert {hit.id for hit in after} == {hit.id for hit in before}
    scores = [hit.score for hit in after]
    assert scores == sorted(scores, reverse=True)
    assert max(scores) <= 1


def test_a_layer_answers_nothing_that_the_app_does_not_do(client: Any) -> None:
    wanted = client.search("한도", top_k=20)[4].id
    layer = taught(client, "한도", wanted, 30)
    for query in ("내일 비 와?", "김치찌개 끓이는 법 알려줘", "ㅁㄴㅇㄹ"):
        refused = client.search(query, explain=True, personal=layer)
        assert len(refused) == 0
        assert refused == client.search(query, explain=True)


def test_a_layer_of_another_encoder_or_with_bad_numbers_is_a_bad_request(client: Any) -> None:
    mine = client.new_layer()
    other = malgil.PersonalLayer.zero(mine.dimension, encoder="7" * 64)
    with pytest.raises(malgil.BadRequest, match=rf"^personal is of encoder {'7' * 12}, the one that serves is "):
        client.search("카드", personal=other)
    with pytest.raises(malgil.BadRequest, match=r"^personal is of dimension 3: this index takes "):
        client.search_all("카드", personal=malgil.PersonalLayer.zero(3))
    with pytest.raises(TypeError, match=r"^personal must be malgil.PersonalLayer, not ndarray"):
        client.search("카드", personal=mine.vector)


def test_a_bad_layer_is_refused_alone_and_the_rest_of_its_batch_is_answered(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url, timeout=60) as client:
        layer = taught(client, "한도", client.search("한도", top_k=20)[4].id)
    bad = bytearray(layer.to_bytes())
    bad[HEADER.size : HEADER.size + 4] = np.float32(math.nan).tobytes()
    zero = malgil.PersonalLayer.zero(layer.dimension).to_bytes()
    sent = [(b"", None), (layer.to_bytes(), "layer"), (bytes(bad), "bad"), (zero, None), (b"\0" * 9, "bad")] * 8
    requests = [{"query": texts(["한도"]), "personal": texts([raw])} for raw, _ in sent]
    with grpc.InferenceServerClient(server.grpc_url) as raw_client:
        expected = {
            kind: raw_client.infer("search", inputs(requests[i])).as_numpy("id").tolist()
            for i, (_, kind) in enumerate(sent[:2])
        }
        assert expected[None] != expected["layer"]
        for (_, kind), answer in zip(sent, all_at_once(raw_client, "search", requests), strict=True):
            if kind == "bad":
                assert "personal is " in str(answer)
            else:
                assert answer.as_numpy("id").tolist() == expected[kind]


def test_a_client_batch_takes_a_layer_for_each_row(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url, timeout=60) as client:
        wanted = client.search("한도", top_k=20)[4].id
        layer = taught(client, "한도", wanted)
        plain = client.search("한도", top_k=1)[0].id
    with grpc.InferenceServerClient(server.grpc_url) as raw_client:
        both = {"query": texts(["한도", "한도"]), "personal": texts([b"", layer.to_bytes()])}
        assert raw_client.infer("search", inputs(both)).as_numpy("id")[:, 0].tolist() == [plain, wanted]


def test_an_app_without_the_python_client_sends_a_layer_in_base64(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url, timeout=60) as client:
        wanted = client.search("한도", top_k=20)[4].id
        layer = taught(client, "한도", wanted)
        encoder = client.encoder()
    body = {"query": "한도", "top_k": 1, "personal": base64.b64encode(layer.to_bytes()).decode()}
    answer = post(server, "search/generate", body)
    assert (answer["id"], answer["encoder"]) == (wanted, encoder)
