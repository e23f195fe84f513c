"""DPR's table counts what it says, on planted scores and on passages in SQuAD's form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.evaluation import passages
from training.evaluation.encoder import Encoder
from training.evaluation.outcome import BM25, BOTH, DENSE
from training.evaluation.passages import Passages, Question


def test_the_place_of_a_passage_is_counted_by_hand_and_ties_are_no_gift() -> None:
    scores = np.array([[0.9, 0.2, 0.4], [0.3, 0.3, 0.3], [0.1, 0.2, 0.3]], np.float32)
    assert passages.places_of(scores, np.array([0, 1, 0])).tolist() == [1, 3, 3]


def test_top_k_of_planted_places_is_that_of_dprs_table() -> None:
    # 200 passages; BM25 knows nothing but "x" in passage 7 (tokens "xx"): each other question shares no bigram.
    texts = [f"{i:04d}" for i in range(200)]
    planted = [Question("없음", row, True) for row in (0, 4, 19, 99, 150)] + [Question("없음", 3, False)]
    read = Passages(texts, planted)
    cosines = np.tile(np.linspace(1, 0, 200, dtype=np.float32), (6, 1))
    top = passages._top(passages.places_of(cosines[read.reported], read.gold[read.reported]))
    assert {name: float(values.mean()) for name, values in top.items()} == {
        "top-1": 0.2, "top-5": 0.4, "top-20": 0.6, "top-100": 0.8
    }  # fmt: skip
    assert passages.bm25_alone(read).figures == {"top-1": 0, "top-5": 0, "top-20": 0, "top-100": 0}


def test_the_weight_of_dense_similarity_is_chosen_on_the_other_half_alone() -> None:
    words = np.array([[2, 0], [2, 0], [0, 0]], np.float32)
    cosines = np.array([[0, 0.05], [0.05, 0], [0.9, 0]], np.float32)
    gold = np.array([1, 1, 0])
    tuned = np.array([True, False, False])
    assert passages.best_lambda(words, cosines, gold, tuned) == 100  # 30 · 0.05 is less than 2, 100 · 0.05 is more
    assert passages.best_lambda(words, cosines, gold, ~tuned) == 1  # where BM25 is wrong whatever the weight


def test_no_article_is_both_trained_on_and_reported(data: Path) -> None:
    read = Passages.read(data / passages.FILE)
    halves = [{one.row // 2 for one in read.questions if one.is_reported == half} for half in (True, False)]
    assert halves[0]
    assert halves[1]
    assert not halves[0] & halves[1]
    assert len(read.texts) == len(read.questions) == 24


def test_fewer_questions_are_the_same_ones_every_time_and_leave_all_passages(data: Path) -> None:
    few, more = (Passages.read(data / passages.FILE, most) for most in (2, 3))
    assert len(few.texts) == 24
    assert [sum(one.is_reported for one in read.questions) for read in (few, more)] == [2, 3]
    assert {one.text for one in few.questions} < {one.text for one in more.questions}


def test_the_row_of_a_good_encoder_is_full_and_that_of_a_blind_one_empty(data: Path, folders: dict[str, Path]) -> None:
    read = Passages.read(data / passages.FILE)
    assert passages.bm25_alone(read).method == BM25
    good, blind = (
        {one.method: one.figures for one in passages.measure(read, Encoder(folders[name], name), lambda *_: None)}
        for name in ("sees", "blind")
    )
    assert good[DENSE]["top-1"] == 1
    assert good[BOTH]["top-1"] == 1
    assert blind[DENSE]["top-20"] == 0
    assert blind[BOTH]["top-5"] == passages.bm25_alone(read).figures["top-5"]


@pytest.mark.parametrize("content", ["[", "{}", json.dumps({"data": [{"title": "t"}]}), json.dumps({"data": []})])
def test_a_file_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "korquad.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match=r"korquad\.json"):
        Passages.read(file)
