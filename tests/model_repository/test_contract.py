"""The tensors of each model, name by name, and its errors, against the live server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.encoder import EncoderMetadata
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from export.catalog.embedding import offline
from server.launcher import Server
from tests.live import OUTPUTS, decoded, infer, inputs, texts

QUERIES = [f"{text} {i}" if i else text for i in range(8) for text in (
    "돈 보내기", "용돈", "이번 달 카드값", "환전하려면 어떻게 해", "ㅅㄱ", "대출 이자", "보험금 청구 서류", "Apple Pay",
)]  # fmt: skip


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with grpc.InferenceServerClient(server.grpc_url) as made:
        yield made


def refused(client: Any, model: str, **tensors: Any) -> str:
    """The sentence with which a request is refused as INVALID_ARGUMENT."""
    with pytest.raises(InferenceServerException) as caught:
        infer(client, model, **tensors)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    return str(caught.value.message())


def embedding_of(client: Any, *values: str) -> Any:
    return np.concatenate([infer(client, "embed", text=texts([value]))["embedding"] for value in values])


def test_a_query_is_answered_with_ten_columns_of_the_promised_types(client: Any) -> None:
    answer = infer(client, "search", query=texts(["돈 보내기"]))
    assert {name: (array.shape, array.dtype.kind) for name, array in answer.items()} == {
        "id": ((1, 10), "i"), "name": ((1, 10), "O"), "path": ((1, 10), "O"), "phrase": ((1, 10), "O"),
        "score": ((1, 10), "f"), "generation": ((1, 1), "i"),
    }  # fmt: skip
    assert answer["id"].dtype == np.int64
    assert answer["score"].dtype == np.float32
    assert (np.diff(answer["score"][0]) <= 0).all()
    assert answer["id"][0, 0] >= 0


def test_columns_without_a_hit_are_padded_with_values_that_json_can_hold(client: Any) -> None:
    answer = infer(client, "search", query=texts(["송금"]), top_k=np.array([[1000]], np.int32))
    shown = answer["id"][0] >= 0
    assert answer["id"].shape == (1, 1000)
    assert 0 < shown.sum() < 1000
    assert shown.argmin() == shown.sum()  # hits first, padding after
    assert (answer["id"][0][~shown] == -1).all()
    assert (answer["score"][0][~shown] == -1).all()
    for name in ("name", "path", "phrase"):
        assert set(answer[name][0][~shown]) == {b""}


@pytest.mark.parametrize("kind", ["query", "passage", "phrase"])
def test_embed_puts_the_prompt_of_the_kind_in_front(client: Any, repository: Path, kind: str) -> None:
    metadata = EncoderMetadata.of(repository)
    answer = infer(client, "embed", text=texts(["송금"]), kind=texts([kind]))["embedding"]
    prompts = metadata.prompts
    assert prompts["query"] != prompts["passage"]
    ids = infer(client, "tokenizer", text=texts(["송금"]), kind=texts([kind]))["input_ids"]
    direct = infer(client, "encoder", input_ids=ids)["embedding"]
    assert answer.shape == (1, metadata.dimension)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, direct, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(answer), 1, atol=1e-5)


def test_kind_is_query_when_absent(client: Any) -> None:
    absent, query, passage = (
        infer(client, "embed", text=texts(["송금"]), **options)["embedding"]
        for options in ({}, {"kind": texts(["query"])}, {"kind": texts(["passage"])})
    )
    np.testing.assert_allclose(absent, query, atol=1e-6)
    assert np.abs(absent - passage).max() > 1e-3


def test_the_server_embeds_as_the_offline_publisher_does(client: Any, repository: Path) -> None:
    ours = np.concatenate([infer(client, "embed", text=texts([text]))["embedding"] for text in QUERIES[:8]])
    np.testing.assert_allclose(ours, offline(repository)(QUERIES[:8]), atol=1e-5)


def test_decomposed_hangul_finds_what_composed_hangul_finds(client: Any) -> None:
    import unicodedata

    composed = infer(client, "search", query=texts(["용돈 보내기"]))
    apart = infer(client, "search", query=texts([unicodedata.normalize("NFD", "용돈 보내기")]))
    assert composed["id"].tolist() == apart["id"].tolist()
    np.testing.assert_allclose(composed["score"], apart["score"], atol=2e-6)


@pytest.mark.parametrize("model", ["search", "embed"])
def test_a_client_batch_of_64_answers_as_64_single_requests_do(client: Any, model: str) -> None:
    name = "query" if model == "search" else "text"
    together = infer(client, model, **{name: texts(QUERIES)})
    for i, query in enumerate(QUERIES):
        alone = infer(client, model, **{name: texts([query])})
        for output in OUTPUTS[model]:
            if together[output].dtype.kind == "f":
                np.testing.assert_allclose(together[output][i], alone[output][0], atol=1e-5)
            elif output == "id":
                scores = alone["score"][0]
                distinct = np.append(np.diff(scores) < -2e-5, True) & np.insert(np.diff(scores) < -2e-5, 0, True)
                assert together["id"][i][distinct].tolist() == alone["id"][0][distinct].tolist()


def test_a_text_longer_than_the_window_is_truncated_not_refused(client: Any) -> None:
    ids = infer(client, "tokenizer", text=texts(["송금하기 " * 600]))["input_ids"]
    assert ids.shape == (1, 512)
    assert infer(client, "search", query=texts(["송금하기 " * 600]))["id"][0, 0] >= 0


def test_a_batch_of_texts_is_padded_with_minus_one(client: Any) -> None:
    ids = infer(client, "tokenizer", text=texts(["송금", "다른 사람에게 돈을 보내고 싶어요"]))["input_ids"]
    assert (ids[0] == -1).any()
    assert (ids[1] >= 0).all()


def test_surface_shows_only_services_of_that_surface(client: Any) -> None:
    by_id = {s["id"]: s for s in map(json.loads, Path("catalogs/finance.jsonl").read_text().splitlines())}
    answer = infer(client, "search", query=texts(["송금"]), surface=texts(["RECO"]), top_k=np.array([[200]], np.int32))
    shown = [i for i in answer["id"][0].tolist() if i >= 0]
    everything = infer(client, "search", query=texts(["송금"]), top_k=np.array([[200]], np.int32))["id"][0]
    assert shown
    assert all("RECO" in by_id[i]["surfaces"] for i in shown)
    assert len(shown) < (everything >= 0).sum()


def test_closed_services_and_services_below_their_threshold_never_show(client: Any) -> None:
    services = [json.loads(line) for line in Path("catalogs/finance.jsonl").read_text().splitlines()]
    closed = {s["id"] for s in services if not s["open"]}
    least = {s["id"]: s["threshold"] for s in services if s["threshold"] is not None}
    assert closed
    answer = infer(client, "search", query=texts(["돈"]), top_k=np.array([[1000]], np.int32))
    hits = {i: s for i, s in zip(answer["id"][0].tolist(), answer["score"][0].tolist(), strict=True) if i >= 0}
    assert not closed & set(hits)
    assert all(hits[i] >= least[i] - 1e-6 for i in hits.keys() & least.keys())
    assert least.keys() - hits.keys() - closed  # some were held back


def test_min_score_keeps_a_hit_that_scores_exactly_so(client: Any) -> None:
    first = infer(client, "search", query=texts(["돈 보내기"]))
    third = first["score"][:, 2:3]
    again = infer(client, "search", query=texts(["돈 보내기"]), min_score=third - np.float32(2e-6))
    assert (again["id"][0] >= 0).sum() >= 3
    assert (again["score"][0][again["id"][0] >= 0] >= third - 4e-6).all()
    assert (infer(client, "search", query=texts(["돈"]), min_score=np.array([[1]], np.float32))["id"] == -1).all()


def test_the_phrase_is_a_sentence_of_the_service_that_matched(client: Any) -> None:
    by_id = {s["id"]: s for s in map(json.loads, Path("catalogs/finance.jsonl").read_text().splitlines())}
    answer = infer(client, "search", query=texts(["남은 용돈 어디서 봐"]))
    for found, name, path, phrase in zip(
        answer["id"][0].tolist(), *(decoded(answer[n])[0] for n in ("name", "path", "phrase")), strict=True
    ):
        if found >= 0:
            service = by_id[found]
            assert (name, path) == (service["name"], service["path"])
            assert phrase in (service["name"], *service["phrases"])


def test_options_are_taken_for_each_row_of_a_client_batch(client: Any) -> None:
    answer = infer(
        client, "search", query=texts(["송금", "송금"]), top_k=np.array([[2], [5]], np.int32),
        min_score=np.array([[-1], [0.5]], np.float32),
    )  # fmt: skip
    assert answer["id"].shape == (2, 5)
    assert (answer["id"][0] >= 0).tolist() == [True, True, False, False, False]
    assert answer["id"][0, :2].tolist() == answer["id"][1, :2].tolist()


def test_the_scorer_alone_takes_any_length_of_embedding(client: Any) -> None:
    embedding = embedding_of(client, "돈 보내기")
    direct = infer(client, "scorer", query=texts(["돈 보내기"]), embedding=embedding * 3)
    through = infer(client, "search", query=texts(["돈 보내기"]))
    assert direct["id"].tolist() == through["id"].tolist()
    np.testing.assert_allclose(direct["score"], through["score"], atol=2e-6)


@pytest.mark.parametrize(("model", "name"), [("search", "query"), ("embed", "text"), ("tokenizer", "text")])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"", "is blank: 0 bytes"),
        ("  \t　".encode(), "is blank: 6 bytes"),
        (b"\xec\x86\xa1\xff", "is not UTF-8: invalid start byte at byte 3"),
        (b"\xed\xa0\x80", "is not UTF-8"),
        ("\u3164\u200b".encode(), "is blank: 6 bytes without a visible character"),
        (b"a" * 8193, "is 8193 bytes long: at most 8192"),
    ],
)
def test_a_bad_text_is_refused_in_a_sentence(client: Any, model: str, name: str, value: bytes, sentence: str) -> None:
    message = refused(client, model, **{name: texts([value])})
    assert sentence in message
    assert name in message


def test_an_unknown_kind_is_refused_by_name(client: Any) -> None:
    assert "kind is 'document': it must be one of query, passage, phrase" in refused(
        client, "embed", text=texts(["송금"]), kind=texts(["document"])
    )


@pytest.mark.parametrize("k", [0, -1, 1001, 2**31 - 1])
def test_a_top_k_out_of_bounds_is_refused_with_the_bounds(client: Any, k: int) -> None:
    message = refused(client, "search", query=texts(["송금"]), top_k=np.array([[k]], np.int32))
    assert f"top_k is {k}: it must be from 1 to 1000" in message


def test_an_unknown_surface_is_refused_with_the_known_ones(client: Any) -> None:
    message = refused(client, "search", query=texts(["송금"]), surface=texts(["NOWHERE"]))
    assert "surface is 'NOWHERE': the catalog has " in message
    assert "RECO" in message


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1.5, -2.0])
def test_a_min_score_that_no_cosine_reaches_is_refused(client: Any, score: float) -> None:
    message = refused(client, "search", query=texts(["송금"]), min_score=np.array([[score]], np.float32))
    assert f"min_score is {score:g}: it must be from -1 to 1" in message


@pytest.mark.parametrize(
    ("embedding", "sentence"),
    [
        (np.ones((1, 3), np.float32), "embedding has 3 numbers: this index takes 384"),
        (np.full((1, 384), np.nan, np.float32), "embedding holds NaN, "),
    ],
)
def test_an_embedding_that_cannot_be_scored_is_refused(client: Any, embedding: Any, sentence: str) -> None:
    assert sentence in refused(client, "scorer", query=texts(["송금"]), embedding=embedding)


def test_a_blank_query_is_refused_by_the_scorer_too(client: Any) -> None:
    message = refused(client, "scorer", query=texts([" "]), embedding=embedding_of(client, "송금"))
    assert "query is blank" in message


def test_an_answer_carries_what_was_asked_for_and_nothing_else(client: Any) -> None:
    asked = [grpc.InferRequestedOutput(name) for name in ("id", "dense", "lexical", "score")]
    result = client.infer("search", inputs({"query": texts(["송ㄱ"])}), outputs=asked)
    assert {output.name for output in result.get_response().outputs} == {"id", "dense", "lexical", "score"}
    dense, lexical, score = (result.as_numpy(name) for name in ("dense", "lexical", "score"))
    np.testing.assert_allclose(score, 1 - (1 - dense) * (1 - lexical), atol=2e-6)
    assert lexical.max() > 0.9
