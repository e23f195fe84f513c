"""Negatives: what a batch and BM25 set against an anchor never means the same as the anchor."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export import ROOT
from training.data import rows as data_rows
from training.data.files import DataError
from training.data.kinds import KINDS
from training.data.pairs import Pair, Pairs, of_groups, of_pairs
from training.data.rows import Rows
from training.mining import Floats, Miner
from training.sampling import GroupedBatchSampler

CATALOG = ROOT / "catalogs" / "finance.jsonl"


def by_length(texts: Sequence[str]) -> Floats:
    """A base encoder under which texts are alike if they are of one length."""
    angles = np.array([len(text) / 10 for text in texts])
    vectors: Floats = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return vectors


def services() -> Pairs:
    read = KINDS["catalog"].read(CATALOG)
    assert isinstance(read, Pairs)
    return read


def mined(share: float = 1.0, margin: float = -2.0) -> tuple[Pairs, Rows]:
    """Rows of the sample catalog; with a margin of -2 every BM25 candidate of another service is taken."""
    read = services()
    draw = random.Random(0)
    return read, data_rows.make(read, "mnr", 300, draw, Miner(share, margin, by_length, draw))


def sampler(rows: Rows, size: int = 32, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    made = GroupedBatchSampler(range(len(rows)), rows, size, seed)
    made.set_epoch(epoch)
    return list(made)


def test_hard_negatives_are_never_positives() -> None:
    read, rows = mined()
    assert rows.mined > 250
    for anchor, positive, negative in zip(
        *(rows.columns[name] for name in ("anchor", "positive", "negative")), strict=True
    ):
        assert not read.of((anchor, positive)) & read.groups[negative]
    shared = [
        set(anchor.replace(" ", "")) & set(negative)
        for anchor, negative in zip(rows.columns["anchor"], rows.columns["negative"], strict=True)
    ]
    assert np.mean([bool(letters) for letters in shared]) > 0.9, "BM25 finds what shares letters"


def test_the_share_of_rows_with_a_hard_negative_is_the_one_asked_for() -> None:
    _, some = mined(share=0.3)
    assert some.mined == pytest.approx(90, abs=5)
    assert all(some.columns["negative"]), "the others get a text of another group"


def test_a_candidate_that_the_base_holds_for_as_near_as_the_positive_is_left_out() -> None:
    read = of_groups([["이체 하기", "돈을 보낸다"], ["이체 하자"], ["이체 한도를 더 올리기"]], 1)
    pair = Pair("이체 하기", "돈을 보낸다")  # of 5 and 6 letters; the candidates have 5 and 12
    draw = random.Random(0)
    assert Miner(1.0, 0.0, by_length, draw)(read, [pair]) == ["이체 한도를 더 올리기"]
    assert Miner(1.0, 1.0, by_length, draw)(read, [pair]) == [None]


def test_near_misses_that_the_data_names_come_first() -> None:
    read = of_pairs([Pair("돈 보내기", "송금", ("대출 받기",)), Pair("돈 빌리기", "대출")])
    assert Miner(1.0, 0.0, by_length, random.Random(0))(read, read.pairs[:1]) == ["대출 받기"]


@pytest.mark.parametrize("hard", [False, True])
def test_phrases_of_a_service_are_never_each_others_negatives(hard: bool) -> None:
    read, rows = mined() if hard else (services(), data_rows.make(services(), "mnr", 300, random.Random(0), None))
    for batch in sampler(rows):
        for row in batch:
            own = read.of((rows.columns["anchor"][row], rows.columns["positive"][row]))
            for other in batch:
                texts = [values[other] for name, values in rows.columns.items() if other != row or name == "negative"]
                assert not own & read.of(texts)


@given(
    own=st.lists(st.frozensets(st.integers(0, 5), min_size=1, max_size=2), min_size=1, max_size=40),
    size=st.integers(2, 8),
    data=st.data(),
)
@settings(max_examples=30, deadline=None)
def test_no_batch_holds_two_rows_that_meet_whatever_the_groups(
    own: list[frozenset[int]], size: int, data: st.DataObject
) -> None:
    others = [data.draw(st.frozensets(st.integers(0, 5), max_size=1)) - groups for groups in own]
    rows = Rows({"anchor": ["가"] * len(own)}, own, others)
    batches = sampler(rows, size)
    assert len(batches) == max(len(own) // min(size, len(own)), 1)
    for batch in batches:
        assert 1 <= len(batch) <= size
        for row in batch:
            assert not any(own[row] & (own[other] | others[other]) for other in batch if other != row)


def test_batches_are_the_same_for_a_seed_and_change_with_the_epoch() -> None:
    _, rows = mined(share=0.0)
    assert sampler(rows) == sampler(rows)
    assert sampler(rows) != sampler(rows, epoch=1)
    assert sampler(rows) != sampler(rows, seed=1)


def test_a_text_of_two_services_is_no_negative_of_either() -> None:
    read = of_groups([["송금", "이체"], ["이체", "예약"], ["대출", "한도"]], 1)
    rows = data_rows.make(read, "mnr", 100, random.Random(0), None)
    shares = [i for i, anchor in enumerate(rows.columns["anchor"]) if anchor == "이체"]
    assert {rows.own[i] for i in shares} == {frozenset({0, 1})}


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_triplet_of_nli_has_the_contradiction_of_its_own_premise(tmp_path: Path, share: float | None) -> None:
    lines = [
        f"premise {i}\t{text} {i}\t{label}"
        for i in range(20)
        for text, label in (("so", "entailment"), ("not", "contradiction"), ("or", "neutral"))
    ]
    file = tmp_path / "nli.tsv"
    file.write_text("\n".join(["sentence1\tsentence2\tgold_label", *lines]) + "\n", encoding="utf-8")
    draw = random.Random(0)
    mine = None if share is None else Miner(share, 0.0, by_length, draw)
    rows = data_rows.make(KINDS["nli"].read(file), "triplet", 20, draw, mine)
    found = list(zip(*(rows.columns[name] for name in ("anchor", "positive", "negative")), strict=True))
    assert sorted(found) == sorted((f"premise {i}", f"so {i}", f"not {i}") for i in range(20))
    assert rows.mined == 20


def test_nli_becomes_triplets_of_what_follows_and_what_contradicts(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    lines = ["비가 온다\t땅이 젖는다\tentailment", "비가 온다\t맑다\tcontradiction", "비가 온다\t춥다\tneutral"]
    file.write_text("sentence1\tsentence2\tgold_label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    draw = random.Random(0)
    rows = data_rows.make(KINDS["nli"].read(file), "triplet", 10, draw, Miner(1.0, 0.0, by_length, draw))
    assert rows.columns == {"anchor": ["비가 온다"], "positive": ["땅이 젖는다"], "negative": ["맑다"]}


def test_data_without_anything_to_tell_apart_is_refused() -> None:
    with pytest.raises(DataError, match="no pair of texts that mean the same"):
        data_rows.make(of_groups([["이체"]], 1), "mnr", 10, random.Random(0), None)
    with pytest.raises(DataError, match="all texts mean the same"):
        data_rows.make(of_groups([["이체", "송금"]], 1), "triplet", 10, random.Random(0), None)
