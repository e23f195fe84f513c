"""What happens to requests that share a batch: they run together, and none harms another."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc as rpc
import malgil
import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server.launcher import Server
from tests.live import infer, inputs, texts
from tests.soak.wire import INFER, Call, Tensor, grpc_infer, int32, string

BAD_EMBEDDING = np.full((1, 384), np.nan, np.float32)


def all_at_once(client: Any, model: str, requests: list[dict[str, Any]]) -> list[Any]:
    """Send all requests without waiting for answers; each answer or error, in order."""
    answers: list[Any] = [None] * len(requests)
    done = threading.Semaphore(0)

    def keep(i: int) -> Any:
        def callback(result: Any, error: Any) -> None:  # tritonclient calls with these two names
            answers[i] = error or result
            done.release()

        return callback

    prepared = [inputs(request) for request in requests]
    for i, one in enumerate(prepared):
        client.async_infer(model, one, keep(i))
    for _ in requests:
        assert done.acquire(timeout=60)
    return answers


def keep_busy(client: Any) -> None:
    """Give the encoder a second's work, so that requests sent now are concurrent however slow this machine is."""
    client.async_infer("encoder", inputs({"input_ids": np.full((8, 512), 4)}), lambda result, error: None)
    time.sleep(0.1)


def executions(client: Any, model: str) -> int:
    """How many batches a model has run so far."""
    time.sleep(0.3)  # statistics lag a response by a moment
    statistics = client.get_inference_statistics(model, as_json=True)
    return int(statistics["model_stats"][0]["execution_count"])


def test_64_texts_of_64_lengths_cost_a_few_encoder_runs_not_64(server: Server) -> None:
    rng = np.random.default_rng(0)
    requests = [{"input_ids": rng.integers(4, 30_000, size=(1, length))} for length in range(1, 65)]
    with grpc.InferenceServerClient(server.grpc_url) as client:
        alone = [infer(client, "encoder", **request)["embedding"] for request in requests]
        before = executions(client, "encoder")
        keep_busy(client)
        answers = all_at_once(client, "encoder", requests)
        assert executions(client, "encoder") - before <= 8
    for answer, one in zip(answers, alone, strict=True):
        np.testing.assert_allclose(answer.as_numpy("embedding"), one, atol=1e-5)


def test_64_searches_of_64_lengths_share_batches_and_answer_as_alone(server: Server) -> None:
    queries = ["송금" + " 하기" * length for length in range(64)]
    with grpc.InferenceServerClient(server.grpc_url) as client:
        lengths = {infer(client, "tokenizer", text=texts([query]))["input_ids"].shape[1] for query in queries}
        assert len(lengths) == 64
        alone = [infer(client, "search", query=texts([query])) for query in queries]
        before = executions(client, "encoder")
        keep_busy(client)
        answers = all_at_once(client, "search", [{"query": texts([query])} for query in queries])
        assert executions(client, "encoder") - before <= 8
    for answer, one in zip(answers, alone, strict=True):
        np.testing.assert_allclose(answer.as_numpy("score"), one["score"], atol=1e-5)
        assert answer.as_numpy("id")[0, 0] == one["id"][0, 0]


def test_searches_with_different_options_share_batches_and_keep_their_own(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url) as asking:
        layer = np.array([[asking.new_layer().to_bytes()]], dtype=np.object_)
    options: list[dict[str, Any]] = [
        {},
        {"top_k": np.array([[3]], np.int32)},
        {"surface": texts(["RECO"])},
        {"min_score": np.array([[0.9]], np.float32)},
        {"null": np.array([[False]])},
        {"top_k": np.array([[1]], np.int32), "personal": layer},
    ]
    requests = [{"query": texts([f"카드 {i}"]), **options[i % 6]} for i in range(48)]
    with grpc.InferenceServerClient(server.grpc_url) as client:
        alone = [infer(client, "search", **request) for request in requests]
        before = executions(client, "scorer")
        keep_busy(client)
        answers = all_at_once(client, "search", requests)
        assert executions(client, "scorer") - before <= 12  # Triton alone: one for each
    for answer, one in zip(answers, alone, strict=True):
        assert answer.as_numpy("id").shape == one["id"].shape
        np.testing.assert_allclose(answer.as_numpy("score"), one["score"], atol=1e-5)


def test_a_bad_search_in_a_batch_leaves_its_neighbours_answers_unchanged(server: Server) -> None:
    good = {"query": texts(["돈 보내기"])}
    bad = [
        {"query": texts([b"\xff"])},
        {"query": texts([" "])},
        {"query": texts(["송금"]), "top_k": np.array([[0]], np.int32)},
        {"query": texts(["송금"]), "surface": texts(["NOWHERE"])},
    ]
    with grpc.InferenceServerClient(server.grpc_url) as client:
        alone = infer(client, "search", **good)
        mixed = [good, *bad] * 12
        answers = all_at_once(client, "search", mixed)
    for request, answer in zip(mixed, answers, strict=True):
        if request is good:
            assert answer.as_numpy("id").tolist() == alone["id"].tolist()
            np.testing.assert_allclose(answer.as_numpy("score"), alone["score"], atol=1e-5)
        else:
            assert isinstance(answer, InferenceServerException)
            assert answer.status() == "StatusCode.INVALID_ARGUMENT"


def test_ids_that_no_vocabulary_has_harm_only_their_own_request(server: Server) -> None:
    good = {"input_ids": np.array([[0, 41, 1294, 12, 2]])}
    bad = {"input_ids": np.array([[0, 10**9, 2]])}
    with grpc.InferenceServerClient(server.grpc_url) as client:
        alone = infer(client, "encoder", **good)["embedding"]
        answers = all_at_once(client, "encoder", [good, bad] * 16)
    for i, answer in enumerate(answers):
        embedding = answer.as_numpy("embedding")
        if i % 2:
            assert np.isnan(embedding).all()
        else:
            np.testing.assert_allclose(embedding, alone, atol=1e-5)


def test_a_text_without_a_single_token_is_answered_with_no_number(server: Server) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        embedding = infer(client, "encoder", input_ids=np.full((2, 3), -1))["embedding"]
        assert embedding.shape[0] == 2
        assert np.isnan(embedding).all()


@pytest.mark.parametrize("shape", [(1, 0), (2, 0), (64, 513)])
def test_a_request_without_ids_or_with_too_many_is_refused_alone(server: Server, shape: tuple[int, int]) -> None:
    good = {"input_ids": np.array([[0, 41, 1294, 12, 2]])}
    with grpc.InferenceServerClient(server.grpc_url) as client:
        alone = infer(client, "encoder", **good)["embedding"]
        answers = all_at_once(client, "encoder", [good, {"input_ids": np.ones(shape, np.int64)}] * 16)
    for answer in answers[1::2]:
        assert isinstance(answer, InferenceServerException)
        assert answer.status() == "StatusCode.INVALID_ARGUMENT"
        assert "input_ids h" in str(answer)
    for answer in answers[::2]:
        np.testing.assert_allclose(answer.as_numpy("embedding"), alone, atol=1e-5)


# What the client library would not send: Triton checks less than it seems to, and hands these on to the models.
SMUGGLED = {
    "a length that lies": Call("search", (Tensor("query", "BYTES", (1, 1), b"\x14\0\0\0abc"),)),
    "a surface's length that lies": Call(
        "search", (string("query", b"a"), Tensor("surface", "BYTES", (1, 1), b"\xff\xff\xff\xffRECO"))
    ),
    "no text": Call("tokenizer", (string("kind", b"query"),)),
    "no embedding": Call("scorer", (string("query", b"a"), int32("top_k", 3))),
    "no query": Call("scorer", (Tensor("embedding", "FP32", (1, 384), bytes(4 * 384)), int32("top_k", 3))),
    "no batch": Call("encoder", (Tensor("input_ids", "INT64", (2**32, 2), bytes(16)),)),
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_what_triton_lets_through_is_refused_alone(server: Server, what: str) -> None:
    good = Call("search", (string("query", "돈 보내기".encode()),), ("id",))
    with rpc.insecure_channel(server.grpc_url) as channel, grpc.InferenceServerClient(server.grpc_url) as client:
        keep_busy(client)
        infer_raw = channel.unary_unary(INFER)
        mixed = [good, SMUGGLED[what]] * 16
        futures = [infer_raw.future(grpc_infer(call).body, timeout=60) for call in mixed]
        codes = [future.code() for future in futures]
    assert codes[::2] == [rpc.StatusCode.OK] * 16
    assert codes[1::2] == [rpc.StatusCode.INVALID_ARGUMENT] * 16


def test_every_request_is_tokenized_alone_so_that_a_bad_string_refuses_no_other(server: Server) -> None:
    requests = [{"text": texts(["송금"] * (1 + i % 3))} for i in range(60)]
    with grpc.InferenceServerClient(server.grpc_url) as client:
        before = executions(client, "tokenizer")
        keep_busy(client)
        answers = all_at_once(client, "tokenizer", requests)
        assert executions(client, "tokenizer") - before == len(requests)
        config = client.get_model_config("tokenizer").config
    assert [len(answer.as_numpy("input_ids")) for answer in answers] == [1 + i % 3 for i in range(60)]
    # By a batcher: without one, more than 1,000 texts that wait damage Triton's heap.
    assert config.dynamic_batching.preferred_batch_size == [1]


def test_an_embedding_that_is_not_finite_is_refused_alone(server: Server) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        embedding = infer(client, "embed", text=texts(["송금"]))["embedding"]
        good, bad = ({"query": texts(["송금"]), "embedding": e} for e in (embedding, BAD_EMBEDDING))
        alone = infer(client, "scorer", **good)
        answers = all_at_once(client, "scorer", [good, bad] * 8)
    assert all(a.as_numpy("id").tolist() == alone["id"].tolist() for a in answers[::2])
    assert all(a.status() == "StatusCode.INVALID_ARGUMENT" for a in answers[1::2])
