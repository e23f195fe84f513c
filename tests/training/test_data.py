"""Data files as they are published: what is read from them, and the sentence for each that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export import ROOT
from training import encoder_cli
from training.data.files import DataError
from training.data.kinds import KINDS, Labelled
from training.data.pairs import Pair, Pairs, of_pairs

HEADER = "sentence1\tsentence2\tgold_label\n"
STS = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n"
QUESTIONS = "\ufeffid,qid1,qid2,question1,question2,is_duplicate\n"


def write(folder: Path, name: str, content: str) -> Path:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def labelled(kind: str, file: Path) -> Labelled:
    read = KINDS[kind].read(file)
    assert isinstance(read, Labelled)
    return read


def pairs(kind: str, file: Path) -> Pairs:
    read = KINDS[kind].read(file)
    assert isinstance(read, Pairs)
    return read


def test_a_quote_in_a_premise_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    read = labelled("nli", write(tmp_path, "a.tsv", HEADER + '"그가 말했다\t조용하다\tneutral\n비\t날씨\tentailment\n'))
    assert (read.first, read.second, read.labels) == (['"그가 말했다', "비"], ["조용하다", "날씨"], [1, 0])


def test_a_pair_that_the_annotators_did_not_agree_on_teaches_nothing(tmp_path: Path) -> None:
    read = labelled("nli", write(tmp_path, "a.tsv", HEADER + "가\t나\t-\n다\t라\tcontradiction\n"))
    assert read.labels == [2]


def test_klue_is_read_as_klue_publishes_it(tmp_path: Path) -> None:
    row = {"guid": "0", "premise": "가", "hypothesis": "나", "gold_label": "contradiction"}
    assert labelled("nli", write(tmp_path, "dev.json", json.dumps([row]))) == Labelled(["가"], ["나"], [2])


def test_scores_become_similarities_from_0_to_1(tmp_path: Path) -> None:
    read = labelled("sts", write(tmp_path, "a.tsv", STS + "g\tf\t2020\t1\t2.500\t가\t나\n"))
    assert read.labels == [0.5]


def test_a_question_pair_is_the_same_where_the_column_says_0(tmp_path: Path) -> None:
    rows = '1,1,2,카드 분실,카드를 잃어버렸어,0\n2,1,3,카드 분실,"카드, 재발급",1\n3,4,5,,빈칸,0\n'
    read = pairs("questions", write(tmp_path, "a.csv", QUESTIONS + rows))
    assert read.pairs == [Pair("카드 분실", "카드를 잃어버렸어", ("카드, 재발급",))]


def test_texts_that_pairs_connect_over_several_steps_mean_the_same() -> None:
    read = of_pairs([Pair("가", "나", ("다", "라")), Pair("나", "다"), Pair("마", "바")])
    assert read.groups["가"] == read.groups["다"] != read.groups["마"]
    assert read.pairs[0].negatives == ("라",), "a negative that is connected with the anchor is none"


def test_paraphrases_come_in_groups_of_ten(tmp_path: Path) -> None:
    lines = [f"0\t0\t{topic} {i}" for topic in ("메일", "택배") for i in range(10)]
    read = pairs("paraphrases", write(tmp_path, "a.txt", "\n".join(lines)))
    assert all(pair.anchor.split()[0] == pair.positive.split()[0] for pair in read.pairs)
    assert read.groups["메일 0"] == read.groups["메일 9"] != read.groups["택배 0"]


def test_phrases_of_a_service_are_near_its_name_and_path() -> None:
    read = pairs("catalog", ROOT / "catalogs" / "finance.jsonl")
    transfer = read.groups["계좌번호로 보내기"]
    assert transfer <= read.groups["송금 > 계좌번호로 보내기"]
    assert transfer <= read.groups["타행 이체"]
    assert all(read.groups[pair.anchor] & read.groups[pair.positive] for pair in read.pairs)


def test_feedback_brings_its_own_negatives(tmp_path: Path) -> None:
    line = json.dumps({"query": "돈 보내기", "positive": "송금", "negatives": ["대출"]}, ensure_ascii=False)
    read = pairs("feedback", write(tmp_path, "f.jsonl", line + "\n"))
    assert read.pairs == [Pair("돈 보내기", "송금", ("대출",))]
    assert not read.groups["대출"] & read.groups["송금"]


@pytest.mark.parametrize(
    ("kind", "name", "content", "sentence"),
    [
        ("nli", "a.tsv", "premise\tlabel\n", ":1: no column 'sentence1': the header must have sentence1, sentence2"),
        ("nli", "a.tsv", HEADER + "가\t나\tmaybe\n", ":2: gold_label is \"maybe\": it must be entailment, neutral, "),
        ("nli", "a.tsv", HEADER + "가\t나\n", ":2: the row ends before the field gold_label"),
        ("nli", "a.tsv", HEADER + " \t나\tneutral\n", ":2: sentence1 is \" \": it must be a text that is not blank"),
        ("nli", "a.json", "{}", ": it must be an array of objects"),
        ("sts", "a.tsv", STS + "g\tf\t2020\t1\t5.1\t가\t나\n", ":2: score is \"5.1\": it must be a number from 0 to 5"),
        ("sts", "a.tsv", STS + "g\tf\t2020\t1\tnan\t가\t나\n", ":2: score is \"nan\": it must be a number from 0 to 5"),
        ("questions", "a.csv", QUESTIONS + "1,1,2,가,나,2\n", ":2: is_duplicate is \"2\": it must be 0, 1"),
        ("paraphrases", "a.txt", "0\t0\t가\n", ":1: 1 sentences: they must come in groups of 10"),
        ("paraphrases", "a.txt", "가\n", ":1: 1 fields: a line must have 3, with tabs between them"),
        ("feedback", "a.jsonl", '{"query": "가"}', ":1: positive is null: it must be a text that is not blank"),
        ("feedback", "a.jsonl", '\n{"query": "가"', ":2: not JSON: "),
        ("feedback", "a.jsonl", '{"query": "가", "positive": "나", "negative": []}', ":1: field 'negative': only "),
        (
            "feedback", "a.jsonl", '{"query": "가", "positive": "나", "negatives": [1]}',
            ":1: negatives[0] is 1: it must be a text that is not blank",
        ),
        ("feedback", "a.jsonl", '{"query": "가", "positive": "나", "negatives": "다"}', ":1: negatives is "),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named_with_its_field_and_bound(
    kind: str, name: str, content: str, sentence: str, tmp_path: Path
) -> None:
    file = write(tmp_path, name, content)
    with pytest.raises(DataError) as error:
        KINDS[kind].read(file)
    assert f"{file}{sentence}" in str(error.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "catalog"])
def test_a_file_that_is_missing_or_not_text_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        KINDS[kind].read(tmp_path / "absent.tsv")
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00sentence1")
    with pytest.raises(DataError, match="codec can't decode"):
        KINDS[kind].read(tmp_path / "binary.tsv")


def test_the_command_line_names_every_kind_with_its_losses() -> None:
    told = {kind: tuple(help.rpartition(". ")[2].split(", ")) for kind, help in encoder_cli.KINDS.items()}
    assert told == {kind: known.losses for kind, known in KINDS.items()}
