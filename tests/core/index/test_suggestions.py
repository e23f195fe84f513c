"""What people chose, in a generation: it comes back, it is checked, and generations without it are as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index import history, reader
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import SUGGESTIONS, folder_of, load, load_texts, read_manifest
from malgil_core.index.writer import publish

from tests.index import CATALOG, ENCODER, NULL_TOPICS, embed

CHOSEN: list[dict[str, Any]] = [{"text": "용돈 부치기", "id": 7, "chosen": 50, "persons": 30, "days": 7}]


def test_what_people_chose_comes_back_without_vectors(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed, None, NULL_TOPICS, chosen=CHOSEN))
    assert read_manifest(folder)["suggestions"] == 1
    found, whole = load_texts(folder, ENCODER.fingerprint), load(folder, ENCODER.fingerprint)
    assert found.chosen == CHOSEN
    assert found.matrix.shape == (0, whole.dimension)
    assert found.phrases_padded.tolist() == whole.phrases_padded.tolist()
    assert found.service_of_row.tolist() == whole.service_of_row.tolist()
    assert found.null
    assert [phrase.decode() for phrase in found.null.phrases][:2] == ["오늘 날씨", "내일 비 와?"]
    assert found.lexical
    assert found.lexical.matches("송ㄱ").rows.tolist() == [6]


def test_a_generation_without_suggestions_is_what_versions_before_them_published_and_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == 3
    assert sorted(manifest["files"]) == sorted(reader.FILES[3])
    assert "suggestions" not in manifest
    assert not (folder / SUGGESTIONS).exists()
    assert load_texts(folder).chosen == ()


def test_searches_do_not_depend_on_suggestions(tmp_path: Path) -> None:
    with_them = load(folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed, chosen=CHOSEN)))
    without = load(folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed)))
    assert np.array_equal(with_them.matrix, without.matrix)
    assert with_them.chosen == without.chosen == ()


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_suggestions_that_are_not_those_that_were_published_do_not_serve(tmp_path: Path, damage: str) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed, chosen=CHOSEN))
    if damage == "missing":
        (folder / SUGGESTIONS).unlink()
    else:
        (folder / SUGGESTIONS).write_text('{"text": "김말길 송금"}\n', encoding="utf-8")
    with pytest.raises(GenerationError, match=rf"{SUGGESTIONS}"):
        load_texts(folder)


def test_a_rollback_brings_back_the_suggestions_of_then(tmp_path: Path) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed, chosen=CHOSEN)
    publish(CATALOG, tmp_path, ENCODER, embed)
    _, new = history.rollback(tmp_path, 1, ENCODER.fingerprint)
    assert load_texts(folder_of(tmp_path, new)).chosen == CHOSEN
    assert not any(entry.problem for entry in history.entries(tmp_path, thorough=True))
