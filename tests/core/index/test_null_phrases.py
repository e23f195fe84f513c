"""Null phrases in an index: published, loaded, compared, rolled back, and refused where they are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index import history
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import folder_of, load, read_manifest
from malgil_core.index.writer import publish
from malgil_core.ranking.topk import unit
from safetensors.numpy import load_file

from tests.core.index.test_reader import seal, tensors
from tests.index import CATALOG, ENCODER, NULL_TOPICS, embed

PHRASES = [phrase for topic in NULL_TOPICS for phrase in topic.phrases]


def limits(generation: Any) -> dict[str, Any]:
    return {"margin": 0.02, "floor": 0.5}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Generation 1 with null topics."""
    publish(CATALOG, tmp_path / "index", ENCODER, embed, None, NULL_TOPICS, limits)
    return tmp_path / "index"


def test_what_was_published_is_what_serves(index: Path) -> None:
    generation = load(folder_of(index, 1))
    null = generation.null
    assert null
    assert [phrase.decode() for phrase in null.phrases] == PHRASES
    assert [null.topics[topic].decode() for topic in null.topic_of_row] == ["날씨", "날씨", "인사", "인사", "인사"]
    np.testing.assert_allclose(null.matrix, unit(embed(PHRASES)), atol=1e-6)
    assert (null.margin, null.floor) == (0.02, 0.5)
    plain = load(folder_of(index, publish(CATALOG, index, ENCODER, embed)))
    assert plain.null is None
    np.testing.assert_array_equal(plain.matrix, generation.matrix)


def test_a_null_phrase_is_no_phrase_of_a_service_and_leaves_lexical_matches_as_they_are(index: Path) -> None:
    generation, folder = load(folder_of(index, 1)), folder_of(index, 1)
    assert not set(PHRASES) & {phrase.decode() for phrase in generation.phrases_padded}
    publish(CATALOG, index, ENCODER, embed)
    assert (folder / "lexical.safetensors").read_bytes() == (folder_of(index, 2) / "lexical.safetensors").read_bytes()
    assert read_manifest(folder)["latin_words"] == read_manifest(folder_of(index, 2))["latin_words"]


def test_limits_are_chosen_from_what_a_scorer_would_load(index: Path) -> None:
    seen: list[Any] = []

    def record(generation: Any) -> dict[str, Any]:
        seen.append(generation)
        return {"margin": 0.0, "floor": None, "lost": 0.5}

    loaded = load(folder_of(index, publish(CATALOG, index, ENCODER, embed, None, NULL_TOPICS, record)))
    (given,) = seen
    assert given.ids_padded.tolist() == loaded.ids_padded.tolist()
    np.testing.assert_array_equal(given.matrix, loaded.matrix)
    assert loaded.null
    np.testing.assert_array_equal(given.null.matrix, loaded.null.matrix)
    assert loaded.null.floor == -np.inf
    assert read_manifest(folder_of(index, 2))["null"] == {
        "topics": 2, "phrases": 5, "margin": 0.0, "floor": None, "lost": 0.5,
    }  # fmt: skip


def test_the_next_publish_embeds_no_null_phrase_again(index: Path) -> None:
    asked: list[str] = []

    def watched(texts: Sequence[str]) -> Any:
        asked.extend(texts)
        return embed(texts)

    publish(CATALOG, index, ENCODER, watched, None, NULL_TOPICS)
    assert not asked


def test_a_rollback_brings_the_null_phrases_and_their_limits_back(index: Path) -> None:
    publish(CATALOG, index, ENCODER, embed)
    assert history.rollback(index, 1, ENCODER.fingerprint) == (1, 3)
    again = load(folder_of(index, 3)).null
    assert again
    assert [phrase.decode() for phrase in again.phrases] == PHRASES
    assert again.margin == 0.02


def test_the_catalog_of_a_generation_and_differences_tell_of_null_topics(index: Path) -> None:
    publish(CATALOG, index, ENCODER, embed, None, NULL_TOPICS[:1])
    before, after = history.catalog(index, 1), history.catalog(index, 2)
    assert before[-2:] == [topic.as_dict() for topic in NULL_TOPICS]
    (gone,) = history.diff(before, after)
    assert (gone.what, gone.line["name"]) == ("removed", "인사")
    after[-1]["phrases"] = ["비"]
    changed, _ = history.diff(before, after)
    assert changed.fields == {"phrases": (["오늘 날씨", "내일 비 와?"], ["비"])}


@pytest.mark.parametrize("number", [1, 2])
def test_an_index_of_an_earlier_version_is_refused_with_what_to_do(index: Path, number: int) -> None:
    folder = folder_of(index, 1)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": number}))
    with pytest.raises(GenerationError, match=f"format {number}, this reads 3: publish the catalog again"):
        load(folder)


def _limits(folder: Path, **values: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "null": {**manifest["null"], **values}}))


def _topics(folder: Path, content: str) -> None:
    (folder / "null_topics.jsonl").write_text(content)
    seal(folder)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: _limits(folder, margin=float("nan")), "margin nan and floor 0.5 must be finite"),
        (lambda folder: _limits(folder, floor="x"), "is damaged"),
        (
            lambda folder: _topics(folder, '{"name": "a", "phrases": ["b"]}\n'),
            "null_topics.jsonl do not belong together",
        ),
        (lambda folder: _topics(folder, "{"), "is damaged"),
        (lambda folder: tensors(folder, topic=np.array([0, 0, 1, 1, 0], np.int32)), "do not belong together"),
        (lambda folder: tensors(folder, topic=np.array([0, 0, 1, 1, 1], np.int64)), "topic is int64: it must be int32"),
        (lambda folder: tensors(folder, topic=np.array([0, 0, 1], np.int32)), "are not of one length"),
    ],
)
def test_damaged_null_phrases_do_not_serve(index: Path, damage: Any, sentence: str) -> None:
    folder = Path(shutil.copytree(folder_of(index, 1), index.parent / "000001"))
    damage(folder)
    with pytest.raises(GenerationError, match=sentence):
        load(folder)


def test_a_null_vector_that_is_no_direction_does_not_serve(index: Path) -> None:
    folder = folder_of(index, 1)
    vectors = load_file(folder / "vectors.safetensors")["vectors"]
    vectors[-1] = 0
    tensors(folder, vectors=vectors)
    with pytest.raises(GenerationError, match="row 4 is not a unit vector"):
        load(folder)
