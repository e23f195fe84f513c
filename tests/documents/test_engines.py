"""Documents in an engine, the same with milvus-lite and with a Milvus server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from malgil_core.documents.types import DocumentOptions
from malgil_core.encoder import EncoderMetadata

from documents import collection, lookup, run, schema
from documents.engine import Engine, EngineError
from documents.ingest import GRACE_SECONDS, Embed, remove
from documents.passages import Splitter
from documents.schema import Stored
from documents.search import Searcher
from tests.documents.corpus import DOCUMENTS, Corpus

pytestmark = [pytest.mark.live, pytest.mark.slow]
FRESH_SECONDS = 2.0


@pytest.fixture(scope="module")
def shared(
    engine: Engine, encoder: EncoderMetadata, splitter: Splitter, embed: Callable[[str], Embed]
) -> Iterator[Corpus]:
    made = Corpus(engine, "tests", encoder, splitter, embed)
    yield made
    made.searcher.close()


@pytest.fixture
def corpus(shared: Corpus) -> Corpus:
    """The collection as it is at first, whatever the test before made of it."""
    shared.reset()
    return shared


def test_a_question_is_answered_with_the_document_its_sentence_and_its_words(corpus: Corpus) -> None:
    first = corpus.search("이체 한도")[0]
    assert (first.id, first.url, first.service_ids) == ("limit", "https://help.example.com/limit", ("transfer-limit",))
    assert "이체 한도" in first.snippet
    assert {first.snippet[start:end] for start, end in first.highlights} >= {"이체", "한도"}
    assert DOCUMENTS[0]["body"][first.start : first.start + len(first.snippet)] == first.snippet
    assert corpus.ids("지갑을 잃어버렸는데 카드 어떡해")[0] == "lost"


def test_filters_choose_by_category_surface_and_date_and_closed_documents_are_never_found(corpus: Corpus) -> None:
    found = {
        chosen: set(corpus.ids("수수료", chosen))
        for chosen in (
            "", '{"category": "송금"}', '{"category": ["카드", "없음"]}', '{"surface": "HELP"}', '{"surface": "X"}',
            '{"updated_from": "2025-01-01"}', '{"updated_to": "2024-12-31"}', '{"category": "\\") or open == false"}',
        )
    }  # fmt: skip
    assert list(found.values()) == [
        {"limit", "lost", "fee"}, {"limit", "fee"}, {"lost"}, {"limit", "lost"}, set(), {"limit"}, {"lost"}, set(),
    ]  # fmt: skip


def test_documents_are_found_while_an_engine_that_has_just_started_still_indexes_their_words(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    call = corpus.engine.call

    def noting(method: str, *args: object, **options: object) -> object:
        searched.extend([str(options["anns_field"])] if method == "search" else [])
        return call(method, *args, **options)  # type: ignore[arg-type]

    whole = [(one.id, round(one.score, 3)) for one in corpus.search("송금 수수료")]
    monkeypatch.setattr(corpus.engine, "call", noting)
    corpus.searcher.warm_up(30, lexical=False)
    assert [(one.id, round(one.score, 3)) for one in corpus.search("송금 수수료")] == whole
    assert set(searched) == {"vector"}
    corpus.searcher.warm_up_lexical(30)
    corpus.search("송금 수수료")
    assert ("units" in searched) == corpus.engine.sparse


def test_queries_of_a_batch_keep_their_own_filters_and_numbers(corpus: Corpus) -> None:
    from malgil_core.documents.filters import parse_filter

    queries = ["수수료", "수수료", "한도"]
    options = [DocumentOptions(1), DocumentOptions(3, parse_filter('{"category": "카드"}')), DocumentOptions(2)]
    found = corpus.searcher.search(queries, corpus.embed("query")(queries), options, timeout=30)
    assert [[one.id for one in part] for part in found[:2]] == [["fee"], ["lost"]]
    assert (found[2][0].id, len(found[2])) == ("limit", 2)


def test_ingesting_twice_changes_nothing_and_embeds_nothing(corpus: Corpus) -> None:
    def never(texts: Sequence[str]) -> object:
        raise AssertionError(f"embedded again: {texts}")

    before = sorted(row["passage"] for row in corpus.engine.rows(corpus.name, ["passage"]))
    report = corpus.ingest(*DOCUMENTS, embed=never)  # type: ignore[arg-type]
    assert (report.same, report.new, report.changed) == (4, 0, 0)
    assert sorted(row["passage"] for row in corpus.engine.rows(corpus.name, ["passage"])) == before
    assert run.problems(corpus.engine, corpus.name) == ([], 4, 4)


def test_a_changed_document_is_found_by_its_new_words_within_two_seconds(corpus: Corpus) -> None:
    corpus.ids("한도")  # so that the searcher has looked at the statistics
    changed = {**DOCUMENTS[2], "body": "해외로 보낼 때만 전신료가 붙습니다.", "surfaces": ["NEW"]}
    assert corpus.ingest(changed).changed == 1
    deadline = time.monotonic() + FRESH_SECONDS
    while not (found := corpus.search("전신료", '{"surface": "NEW"}')) or "전신료" not in found[0].snippet:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "해외로" in found[0].snippet
    assert run.problems(corpus.engine, corpus.name) == ([], 4, 4)


def test_a_search_that_began_before_an_update_can_still_read_what_it_found(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: dict[str, float] = {}
    call = corpus.engine.call

    def noting(method: str, name: str, *args: object, **options: Any) -> object:
        answer = call(method, name, *args, **options) if method != "delete" else None
        if name == corpus.name:
            times[method] = time.monotonic()
        return answer if method != "delete" else call(method, name, *args, **options)

    monkeypatch.setattr(corpus.engine, "call", noting)
    assert corpus.ingest({**DOCUMENTS[2], "body": "수수료는 올해부터 없습니다."}).changed == 1
    assert times["delete"] - times["upsert"] >= GRACE_SECONDS


def test_an_update_never_makes_a_document_disappear_nor_shows_half_of_it(corpus: Corpus) -> None:
    seen: list[str] = []
    stop = threading.Event()
    (embedding,) = corpus.embed("query")(["송금 수수료"])

    def watch() -> None:
        while not stop.is_set():
            answer = corpus.searcher.search(["송금 수수료"], embedding[None], [DocumentOptions(5)], timeout=30)[0]
            seen.append(next((one.title + "|" + one.snippet for one in answer if one.id == "fee"), "missing"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    wanted = {f"{DOCUMENTS[2]['title']}|{DOCUMENTS[2]['body']}"}
    try:
        for number in range(8):
            changed = {**DOCUMENTS[2], "title": f"송금 수수료 {number}판", "body": f"{number}판의 수수료는 없습니다."}
            wanted.add(f"송금 수수료 {number}판|{number}판의 수수료는 없습니다.")
            corpus.ingest(changed)
    finally:
        stop.set()
        watcher.join()
    assert len(seen) > 8
    assert set(seen) <= wanted


def test_a_run_that_was_broken_off_is_continued(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    long = {
        **DOCUMENTS[1],
        "id": "long",
        "body": "\n".join(f"{at}번째 문장은 카드 이야기입니다. " * 2 for at in range(60)),
    }

    class BrokenOffError(Exception):
        pass

    call, calls = corpus.engine.call, 0

    def failing(method: str, *args: object, **options: object) -> object:
        nonlocal calls
        calls += method == "upsert"
        if method == "delete" or (method == "upsert" and calls == 2):
            raise BrokenOffError
        return call(method, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(corpus.engine, "call", failing)
        with pytest.raises(BrokenOffError):
            corpus.ingest({**DOCUMENTS[0], "body": "한도는 이제 없습니다."})
    assert run.problems(corpus.engine, corpus.name)[0]  # two versions, of which one is found
    assert [one.snippet for one in corpus.search("이체 한도") if one.id == "limit"] == ["한도는 이제 없습니다."]
    corpus.ingest({**DOCUMENTS[0], "body": "한도는 이제 없습니다!"}, long)
    assert run.problems(corpus.engine, corpus.name)[0] == []
    assert corpus.ids("59번째 문장")[0] == "long"


def test_a_run_that_was_broken_off_before_it_deleted_old_passages_is_put_right_by_the_same_command(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {**DOCUMENTS[0], "body": "한도는 이제 없습니다."}
    call = corpus.engine.call

    def failing(method: str, *args: object, **options: object) -> object:
        if method == "delete":
            raise ConnectionError
        return call(method, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(corpus.engine, "call", failing)
        with pytest.raises(ConnectionError):
            corpus.ingest(changed)
    assert run.problems(corpus.engine, corpus.name)[0]
    assert corpus.ingest(changed).same == 1
    assert run.problems(corpus.engine, corpus.name) == ([], 4, 4)


def test_an_update_reads_nothing_of_other_documents(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[dict[str, str]]] = []
    call, pages = corpus.engine.call, corpus.engine.pages

    def counting(method: str, *args: object, **options: object) -> object:
        answer = call(method, *args, **options)  # type: ignore[arg-type]
        if args[:1] == (corpus.name,) and isinstance(answer, list):
            answers.append(answer)
        return answer

    def listing(*args: object) -> Iterator[list[dict[str, str]]]:
        for page in pages(*args):  # type: ignore[arg-type]
            answers.append(page)
            yield page

    monkeypatch.setattr(corpus.engine, "call", counting)
    monkeypatch.setattr(corpus.engine, "pages", listing)
    assert corpus.ingest({**DOCUMENTS[2], "body": "수수료는 이제 없습니다."}).changed == 1
    ids = {row["passage"].split(".")[0] for answer in answers for row in answer if "passage" in row}
    assert ids == {schema.key("fee")}
    assert max(map(len, answers)) == 1


def test_what_is_deleted_with_a_thousand_others_is_asked_for_in_parts(corpus: Corpus) -> None:
    others = [f"other {at}" for at in range(lookup.DOCUMENTS + 1)]
    stored = lookup.known(corpus.engine, corpus.name, [schema.key(id) for id in [*others, "fee", "lost"]])
    assert set(stored) == {schema.key("fee"), schema.key("lost")}


def test_deleted_documents_are_gone_for_searches_and_for_the_statistics(corpus: Corpus) -> None:
    state = collection.read_state(corpus.engine, corpus.name)
    keys = [schema.key("fee"), schema.key("no such document")]
    assert remove(corpus.engine, corpus.name, state, keys) == 1
    collection.write_state(corpus.engine, corpus.name, state)
    assert "fee" not in corpus.ids("송금 수수료")
    assert run.problems(corpus.engine, corpus.name) == ([], 3, 3)


PHRASED = {**DOCUMENTS[2], "phrases": ["우주 여행 예약", "달나라로 날아가기", "로켓 좌석 고르기"]}


def test_a_document_is_found_by_its_phrases_and_shown_by_its_own_sentences(corpus: Corpus) -> None:
    assert corpus.ingest(PHRASED).passages == 4
    first = corpus.search("달나라로 날아가기")[0]
    assert (first.id, first.snippet, first.start, first.highlights) == ("fee", DOCUMENTS[2]["body"], 0, [])
    assert first.dense > 0.99
    assert first.lexical > 0.5
    assert corpus.ids("로켓 좌석 고르기").count("fee") == 1
    assert run.problems(corpus.engine, corpus.name) == ([], 4, 4)


def test_the_sentence_shown_is_of_the_passage_that_fits_where_a_phrase_led_to_a_long_document(corpus: Corpus) -> None:
    body = "\n".join(f"{at}번째 문장은 카드 이야기입니다. " * 2 for at in range(40)) + "\n환승역에서 내리세요."
    corpus.ingest({**DOCUMENTS[1], "id": "long", "body": body, "phrases": ["환승역 이름 알려줘"]})
    found = next(one for one in corpus.search("환승역 이름 알려줘") if one.id == "long")
    assert "환승역에서 내리세요." in found.snippet
    assert body[found.start : found.start + len(found.snippet)] == found.snippet


def test_phrases_that_change_are_found_and_old_ones_no_longer_lead_anywhere(corpus: Corpus) -> None:
    corpus.ingest(PHRASED)
    assert corpus.ingest(PHRASED).same == 1
    assert corpus.ingest({**PHRASED, "phrases": ["잠수함 타기"]}).changed == 1
    assert corpus.search("잠수함 타기")[0].dense > 0.99
    assert corpus.search("로켓 좌석 고르기")[0].dense < 0.99
    state = collection.read_state(corpus.engine, corpus.name)
    assert (state.statistics.passages, state.phrases) == (5, 1)
    assert corpus.ingest(DOCUMENTS[2]).changed == 1
    assert collection.read_state(corpus.engine, corpus.name).phrases == 0
    assert run.problems(corpus.engine, corpus.name) == ([], 4, 4)


def test_phrases_of_one_document_do_not_push_others_out_of_the_answer(corpus: Corpus) -> None:
    corpus.ingest({**DOCUMENTS[2], "phrases": [f"송금 수수료 질문 {at}" for at in range(50)]})
    assert set(corpus.ids("송금 수수료 질문")) == {"limit", "lost", "fee"}


def test_a_long_passage_counts_by_its_words_beside_short_phrases(corpus: Corpus) -> None:
    phrases = [f"질문 {number}" for number in range(20)]
    name = corpus.create()
    corpus.ingest(
        {"id": "long", "title": "이체", "body": "이체 한도는 하루 천만 원이에요. " * 10, "phrases": phrases}, name=name
    )
    statistics = collection.read_state(corpus.engine, name).statistics
    rows = [Stored.parse(row["stored"]) for row in corpus.engine.rows(name, ["stored"])]
    lengths = [sum(schema.units_of(one).values()) for one in rows if not one.phrase]
    assert statistics.mean_length == pytest.approx(sum(lengths) / len(lengths), rel=1e-6)
    collection.drop(corpus.engine, name)


def test_deleting_a_document_deletes_its_phrases(corpus: Corpus) -> None:
    corpus.ingest(PHRASED)
    state = collection.read_state(corpus.engine, corpus.name)
    assert remove(corpus.engine, corpus.name, state, [schema.key("fee")]) == 1
    collection.write_state(corpus.engine, corpus.name, state)
    assert "fee" not in corpus.ids("로켓 좌석 고르기")
    assert run.problems(corpus.engine, corpus.name) == ([], 3, 3)


def test_a_collection_of_an_older_format_is_refused_with_the_command_that_rebuilds_it(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    with pytest.raises(EngineError, match="of format 2, and 3 is read: run `python -m documents rebuild`"):
        collection.read_state(corpus.engine, corpus.name)


def test_a_rebuild_is_searched_from_the_moment_the_alias_moves_and_no_search_fails(corpus: Corpus) -> None:
    failures: list[Exception] = []
    stop = threading.Event()
    (embedding,) = corpus.embed("query")(["수수료"])

    def watch() -> None:
        while not stop.is_set():
            try:
                assert corpus.searcher.search(["수수료"], embedding[None], [DocumentOptions(3)], timeout=30)[0]
            except Exception as error:
                failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        name = corpus.create()
        corpus.ingest(DOCUMENTS[2], name=name)
        before = collection.point(corpus.engine, corpus.alias, name)
        assert before == corpus.name
        time.sleep(1.5)
        collection.drop(corpus.engine, corpus.name)
        time.sleep(0.5)
    finally:
        stop.set()
        watcher.join()
    assert failures == []
    assert corpus.ids("수수료") == ["fee"]
    corpus.name = name


def test_half_of_a_collection_that_a_killed_run_left_does_not_stop_the_next_rebuild(corpus: Corpus) -> None:
    left = corpus.create()
    corpus.engine.call("drop_collection", left)  # as if it had been killed before it made this half
    name = corpus.create()
    assert name != left
    collection.drop(corpus.engine, name)
    corpus.engine.call("drop_collection", f"{left}_state")


def test_vectors_of_another_encoder_are_not_compared_with_these(corpus: Corpus) -> None:
    other = Searcher(corpus.engine, "0" * 64, corpus.alias)
    with pytest.raises(EngineError, match="another encoder"):
        other.search(["x"], corpus.embed("query")(["x"]), [DocumentOptions()])
    with pytest.raises(ValueError, match="embedding has 3 numbers"):
        corpus.searcher.search(["x"], corpus.embed("query")(["x"])[:, :3], [DocumentOptions()])
    with pytest.raises(ValueError, match="documents_top_k is 0"):
        corpus.searcher.search(["x"], corpus.embed("query")(["x"]), [DocumentOptions(0)])
    other.close()


def test_a_million_passages_of_one_letter_are_one_sentence(corpus: Corpus) -> None:
    from documents.errors import RecordError

    with pytest.raises(RecordError, match="body is 4000000 bytes long: at most"):
        corpus.ingest({**DOCUMENTS[0], "body": "가\n" * 1_000_000})


def test_what_the_engine_lacks_is_said(engine: Engine) -> None:
    assert (engine.lacks() == "") == engine.embedded
