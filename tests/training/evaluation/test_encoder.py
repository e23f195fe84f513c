"""Embeddings are those of serving, and those kept on disk are those of the encoder that asks for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from training.errors import TrainingError
from training.evaluation.encoder import Encoder, directories

TEXTS = ["송금", "카드 분실 신고", "송금", "환율"]


def test_vectors_stand_in_the_order_of_the_texts_with_the_prompt_in_front(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    folder = _prompted(tmp_path, folders["sees"], "송금 ")
    expected = SentenceTransformer(str(folder), device="cpu").encode([f"송금 {text}" for text in TEXTS])
    seen: list[tuple[int, int]] = []
    vectors = Encoder(folder, "sees").embed(TEXTS, "query", lambda done, total: seen.append((done, total)))
    assert vectors == pytest.approx(expected, abs=1e-6)
    assert seen == [(3, 3)]


def test_a_query_typed_with_the_wrong_layout_is_embedded_as_it_is_in_serving(folders: dict[str, Path]) -> None:
    encoder = Encoder(folders["sees"], "sees")
    typed, meant = (encoder.embed([text], "query") for text in ("thdrma", "송금"))
    assert typed == pytest.approx(meant, abs=1e-6)
    kept = Encoder(folders["sees"], "sees", latin_words=["thdrma"]).embed(["thdrma"], "query")
    assert kept != pytest.approx(meant, abs=1e-2)


def test_kept_embeddings_are_read_again_and_never_another_encoders(tmp_path: Path, folders: dict[str, Path]) -> None:
    cache = tmp_path / "cache"
    first = Encoder(folders["sees"], "sees", cache)
    vectors = first.embed(TEXTS, "phrase")
    (file,) = cache.rglob("*.npy")
    np.save(file, -vectors[[0, 3, 1]])  # as nobody would compute them
    assert not np.allclose(first.embed(TEXTS, "phrase"), vectors)
    changed = Encoder(_prompted(tmp_path, folders["sees"], "송 "), "changed", cache)
    assert changed.fingerprint != first.fingerprint
    assert changed.embed(TEXTS, "phrase") == pytest.approx(
        Encoder(changed.directory, "changed").embed(TEXTS, "phrase"), abs=1e-6
    )


def test_a_damaged_file_of_kept_embeddings_is_made_again(tmp_path: Path, folders: dict[str, Path]) -> None:
    encoder = Encoder(folders["sees"], "sees", tmp_path)
    vectors = encoder.embed(TEXTS, "phrase")
    (file,) = tmp_path.rglob("*.npy")
    for damage in (b"", file.read_bytes()[:200], b"\x80\x04."):
        file.write_bytes(damage)
        assert encoder.embed(TEXTS, "phrase") == pytest.approx(vectors)
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)  # never unpickled
    assert encoder.embed(TEXTS, "phrase") == pytest.approx(vectors)


def test_a_folder_that_is_no_encoder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is no encoder that can be evaluated"):
        Encoder(tmp_path, "empty")
    with pytest.raises(TrainingError, match="is not a folder"):
        directories([str(tmp_path / "absent")])


def test_two_encoders_of_one_name_are_refused_before_a_table_mixes_them(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "model").mkdir(parents=True)
    with pytest.raises(TrainingError, match="is called model, too"):
        directories([str(tmp_path / "a" / "model"), str(tmp_path / "b" / "model")])


def _prompted(tmp_path: Path, folder: Path, prompt: str) -> Path:
    copied = tmp_path / "prompted"
    shutil.copytree(folder, copied)
    file = copied / "config_sentence_transformers.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, "prompts": {"query": prompt, "document": ""}}), encoding="utf-8")
    return copied
