"""A small encoder and data sets over its vocabulary, for trainings of seconds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from export.encoder.parity import texts
from tests.encoders import WINDOW, save_sentence_transformer

WORDS = sorted({word for text in texts(WINDOW) for word in text.split()})
SERVICES, PHRASES = 24, 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A small encoder is faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers with random weights, as a sentence-transformers directory with a prompt."""
    folder = tmp_path_factory.mktemp("base") / "encoder"
    return save_sentence_transformer(folder, prompts={"query": "query: "})


def sentences(seed: int) -> Iterator[str]:
    """Texts of three words, no two alike."""
    draw = random.Random(seed)
    seen = set()
    while True:
        text = " ".join(draw.sample(WORDS, 3))
        if text not in seen:
            seen.add(text)
            yield text


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Services whose phrases share a word that no other service's have."""
    file = tmp_path_factory.mktemp("catalog") / "catalog.jsonl"
    made = sentences(1)
    lines = []
    for i in range(SERVICES):
        phrases = [f"{WORDS[i]} {next(made)}" for _ in range(PHRASES)]
        service = {"id": i, "service_id": f"s{i}", "name": f"{WORDS[i]} {i}", "path": f"{WORDS[i]} {i}"}
        lines.append(json.dumps({**service, "open": True, "phrases": phrases}, ensure_ascii=False))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def nli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hypotheses that repeat their premise, contradict it with a word, or are about something else."""
    made = sentences(2)
    lines = ["sentence1\tsentence2\tgold_label"]
    for _ in range(40):
        premise = next(made)
        lines.append(f"{premise}\t{premise.split()[0]} {premise}\tentailment")
        lines.append(f"{premise}\t{premise} {WORDS[0]}\tcontradiction")
        lines.append(f"{premise}\t{next(made)}\tneutral")
    file = tmp_path_factory.mktemp("nli") / "train.tsv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def sts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs that share none to all of three words."""
    draw = random.Random(3)
    lines = ["genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"]
    for i in range(80):
        words, others = draw.sample(WORDS, 3), draw.sample(WORDS, 3)
        shared = i % 4
        second = words[:shared] + others[shared:]
        lines.append(f"g\tf\t2020\t{i}\t{5 * shared / 3:.3f}\t{' '.join(words)}\t{' '.join(second)}")
    file = tmp_path_factory.mktemp("sts") / "sts-train.tsv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
