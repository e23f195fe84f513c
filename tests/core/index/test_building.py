"""A generation in memory is the one that a publish of the same catalog writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.catalog.errors import CatalogError
from malgil_core.index.building import Built, Calibrated, Rows, embedded, known_vectors
from malgil_core.index.generation import Generation
from malgil_core.index.reader import folder_of, load, read_manifest
from malgil_core.index.writer import publish
from malgil_core.lexical.index import Weights
from malgil_core.ranking.types import Floats

from tests.index import CATALOG, ENCODER, NULL_TOPICS, OTHER_ENCODER, embed

QUERIES = ("송금", "thdrma", "ㅅㄱ", "돈 보내", "한도", "오늘 날씨")
CALIBRATED = Calibrated(Weights(words=0.5), {7: 0.25})


def limits(generation: Generation) -> Mapping[str, Any]:
    return {"margin": 0.02, "floor": 0.5}


def test_what_is_tested_before_a_publish_is_what_serves_after_it(tmp_path: Path) -> None:
    number = publish(CATALOG, tmp_path, ENCODER, embed, 0.1, NULL_TOPICS, limits, CALIBRATED)
    rows = Rows(CATALOG, NULL_TOPICS)
    vectors = embedded(rows.texts, {}, embed)
    built = Built.of(rows, vectors, ENCODER, number, 0.1, limits, CALIBRATED)
    drafted, served = built.generation(), load(folder_of(tmp_path, number))
    for field in dataclasses.fields(Generation):
        if field.name not in ("lexical", "null", "created"):
            np.testing.assert_equal(getattr(drafted, field.name), getattr(served, field.name), field.name)
    assert drafted.null
    for field in dataclasses.fields(drafted.null):
        np.testing.assert_equal(getattr(drafted.null, field.name), getattr(served.null, field.name), field.name)
    assert drafted.lexical
    assert served.lexical
    for mine, theirs in zip(drafted.lexical.all_matches(QUERIES), served.lexical.all_matches(QUERIES), strict=True):
        np.testing.assert_equal(dataclasses.astuple(mine), dataclasses.astuple(theirs))
    unsealed = {key: value for key, value in read_manifest(folder_of(tmp_path, number)).items() if key != "files"}
    assert {**built.manifest, "created": ""} == {**unsealed, "created": ""}


def test_texts_that_the_current_generation_holds_are_not_embedded_again(tmp_path: Path) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed, null_topics=NULL_TOPICS)
    asked: list[str] = []

    def counted(texts: Sequence[str]) -> Floats:
        asked.extend(texts)
        return embed(texts)

    texts = [*Rows(CATALOG, NULL_TOPICS).texts, "새 문장", "새 문장"]
    vectors = embedded(texts, known_vectors(tmp_path, ENCODER.fingerprint), counted)
    assert asked == ["새 문장"]
    np.testing.assert_array_equal(vectors, embedded(texts, {}, embed))
    assert known_vectors(tmp_path, OTHER_ENCODER.fingerprint) == {}


def test_a_text_without_an_embedding_is_named() -> None:
    with pytest.raises(CatalogError, match="'없음' has no embedding"):
        embedded(["없음"], {}, lambda texts: np.zeros((1, 8), np.float32))
