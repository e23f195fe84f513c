"""A publish under load fails no search and tears no answer; and where one did, the soak would say so."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from malgil import Hit, SearchResult
from malgil_core.catalog import reading as catalog
from malgil_core.index import writer as generations
from malgil_core.index.reader import folder_of, load
from malgil_core.lexical.index import LexicalIndex
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.types import QueryOptions

from benchmarks.soak import publish
from benchmarks.soak.catalogs import SURFACE, TOPICS, Asked, Marked
from server.launcher import Server, free_ports
from tests.index import ENCODER, embed

Tear = Callable[[SearchResult], SearchResult]


def hits_replaced(answer: SearchResult, **fields: object) -> SearchResult:
    """The last hit is another."""
    return SearchResult((*answer.hits[:-1], dataclasses.replace(answer.hits[-1], **fields)), answer.generation)  # type: ignore[arg-type]


def answered(folder: Path, number: int, asked: Asked, matrix_of: int, letters_of: int) -> SearchResult:
    """An answer as the scorer makes it, with the matrix and the letters of these generations."""
    named, other, letters = (load(folder_of(folder, n)) for n in (number, matrix_of, letters_of))
    rows = min(len(named.matrix), len(other.matrix))
    matrix = named.matrix.copy()
    matrix[:rows] = other.matrix[:rows]
    mixed = dataclasses.replace(named, matrix=matrix)
    own, others = ([text.decode() for text in one.phrases_padded[:-1]] for one in (named, letters))
    index = LexicalIndex.of((others + own[len(others) :])[: len(own)], named.is_name)
    vector = embed([asked.query])
    want = QueryOptions(asked.top_k or 10, asked.surface)
    ranked = CpuScorer(mixed).rank(vector / (vector**2).sum() ** 0.5, [want], [index.matches(asked.query)])[0]
    hits = zip(
        *(texts[where].tolist() for texts, where in (
            (mixed.ids_padded, ranked.services),
            (mixed.names_padded, ranked.services),
            (mixed.paths_padded, ranked.services),
            (mixed.phrases_padded, ranked.rows),
        )),
        ranked.scores.tolist(), ranked.dense.tolist(), ranked.lexical.tolist(), strict=True,
    )  # fmt: skip
    return SearchResult(
        tuple(Hit(i, n.decode(), p.decode(), s, q.decode(), d, x) for i, n, p, q, s, d, x in hits), number
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generations 1 to 3."""
    folder = tmp_path_factory.mktemp("index")
    for number in (1, 2, 3):
        assert generations.publish(Marked(number).services, folder, ENCODER, embed) == number
    return folder


@pytest.mark.parametrize("top_k", [None, 1, 50])
@pytest.mark.parametrize("surface", [None, SURFACE])
def test_a_whole_answer_is_not_called_torn(index: Path, surface: str | None, top_k: int | None) -> None:
    for topic in TOPICS:
        asked = Asked(topic, top_k, surface)
        assert Marked(2).fault(asked, answered(index, 2, asked, 2, 2)) is None


@pytest.mark.parametrize(
    ("tear", "sentence"),
    [
        (lambda answer: dataclasses.replace(answer, hits=answer.hits[:-1]), "the 9 hits are of the services"),
        (lambda answer: dataclasses.replace(answer, hits=(*answer.hits[:-1], answer[0])), "where 10 are to be found"),
        (lambda answer: dataclasses.replace(answer, hits=answer.hits[::-1]), "scores do not fall"),
        (lambda answer: dataclasses.replace(answer, hits=answer.hits[1:] + answer.hits[:1]), "scores do not fall"),
        (lambda answer: hits_replaced(answer, id=1), "id 1 is not among its services"),
        (lambda answer: hits_replaced(answer, name=answer[-1].name.replace("2판", "1판")), "not '메뉴"),
        (lambda answer: hits_replaced(answer, path=answer[-1].path.replace("2판", "3판")), "3판 > 메뉴"),
        (lambda answer: hits_replaced(answer, phrase=answer[0].phrase), "by '주식 사고팔기'"),
    ],
)
def test_a_torn_answer_is_seen(index: Path, tear: Tear, sentence: str) -> None:
    asked = Asked("주식 사고팔기")
    fault = Marked(2).fault(asked, tear(answered(index, 2, asked, 2, 2)))
    assert fault
    assert sentence in fault


@pytest.mark.parametrize(("matrix_of", "letters_of"), [(1, 2), (3, 2), (2, 1), (2, 3)])
def test_vectors_or_letters_of_another_generation_are_seen(index: Path, matrix_of: int, letters_of: int) -> None:
    asked = [Asked(topic, 50) for topic in TOPICS]
    faults = [Marked(2).fault(one, answered(index, 2, one, matrix_of, letters_of)) for one in asked]
    assert sum(fault is not None for fault in faults) > len(TOPICS) / 3


def test_each_generation_differs_from_the_last_in_size_and_owners_and_is_a_valid_catalogue() -> None:
    moved: list[bool] = []
    for number in range(1, 30):
        before, after = Marked(number - 1), Marked(number)
        lines = "\n".join(json.dumps(one.as_dict()) for one in after.services)
        assert len(catalog.parse(lines.encode(), "marked")) == len(after.services) != len(before.services)
        moved += [before.owners[topic].id != after.owners[topic].id for topic in TOPICS]
        assert all(f"{number}판" in one.name and f"{number}판" in one.path for one in after.services)
    assert sum(moved) > 0.9 * len(moved)


def test_what_went_wrong_is_counted_and_told() -> None:
    ledger = publish.Ledger()
    ledger.expect(Marked(1))
    asked = Asked(TOPICS[0])
    ledger.failure(TimeoutError("no answer"))
    assert ledger.request([(asked, SearchResult((), 1))], seen=1) == 1
    assert ledger.request([(asked, SearchResult((), 7))], seen=9) == 9
    assert (ledger.requests, ledger.failed, ledger.torn, ledger.backwards) == (3, 1, 2, 1)
    assert ledger.problems[0] == "TimeoutError: no answer"
    assert "generation 7: was never published" in ledger.problems
    assert "an answer from generation 7 after one from 9" in ledger.problems


def test_a_batch_that_two_generations_answered_is_torn(index: Path) -> None:
    ledger, asked = publish.Ledger(), Asked(TOPICS[0])
    answers = []
    for number in (1, 2):
        ledger.expect(Marked(number))
        answers.append((asked, answered(index, number, asked, number, number)))
    ledger.request(answers[:1], 0)
    assert ledger.torn == 0
    ledger.request(answers, 0)
    assert (ledger.torn, ledger.problems) == (1, ["one batch is answered from the generations [1, 2]"])


def test_a_generation_that_never_answers_is_not_waited_for_beyond_its_deadline() -> None:
    ledger = publish.Ledger()
    deadline = time.monotonic() + 0.1
    assert ledger.first_answer(1, deadline) == deadline


def test_publishes_under_load_fail_no_search_and_tear_no_answer(repository: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(repository, tmp_path / "model_repository", copy_function=os.link))
    steps: list[tuple[int, int]] = []
    with (tmp_path / "log").open("wb") as log, Server(copied, free_ports(), log=log) as server:
        server.wait_ready()
        found = publish.run(server, tmp_path / "index", copied, 4, lambda *step: steps.append(step))
    assert (found.count, found.failed, found.torn, found.backwards, found.problems) == (4, 0, 0, 0, ())
    assert found.requests > 50
    assert found.late == 0, found
    assert 0 < found.median_s <= found.slowest_s <= publish.SERVES_WITHIN
    assert steps[0] == (0, 4)
    assert steps[-1] == (4, 4)
