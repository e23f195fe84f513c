"""Publishing: only what is new is embedded, a failure changes nothing, and numbers are never used twice."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from malgil_core.catalog.reading import CatalogError, Service
from malgil_core.index.reader import current, folder_of, load
from malgil_core.index.writer import point_at, publish
from malgil_core.ranking.types import Floats

from export import ROOT
from tests.index import CATALOG, DIMENSION, ENCODER, OTHER_ENCODER, as_format_1, embed, service

# Another publisher. It embeds until the other one embeds too, which a lock never lets it, or until it has waited.
PUBLISH = """
import pathlib, sys, time
from malgil_core.index.writer import publish
from tests.index import CATALOG, ENCODER, embed

index, own, other = map(pathlib.Path, sys.argv[1:4])

def slowly(texts):
    own.touch()
    deadline = time.monotonic() + float(sys.argv[4])
    while not other.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return embed(texts)

print(publish(CATALOG, index, ENCODER, slowly))
"""


class Embedder:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Floats:
        self.texts += texts
        return embed(texts)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, the lock apart."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def start(index: Path, own: Path, other: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that publishes."""
    command = [sys.executable, "-c", PUBLISH, *map(str, (index, own, other, seconds))]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )


def test_a_second_publish_embeds_only_what_is_new(tmp_path: Path) -> None:
    first, second, third = Embedder(), Embedder(), Embedder()
    publish(CATALOG, tmp_path, ENCODER, first)
    assert sorted(first.texts) == sorted({text for one in CATALOG for text in one.texts})
    more = [*CATALOG, service(9, "적금", "이체", "매달 모으기")]  # one of its phrases stands there already
    publish(more, tmp_path, ENCODER, second)
    assert sorted(second.texts) == ["매달 모으기", "적금"]
    publish(more[1:], tmp_path, ENCODER, third)
    assert third.texts == []
    generation = load(folder_of(tmp_path, 3))
    expected = embed([phrase.decode() for phrase in generation.phrases_padded[:-1]])
    np.testing.assert_allclose(generation.matrix, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_a_phrase_that_stands_in_many_services_is_embedded_once(tmp_path: Path) -> None:
    counted = Embedder()
    publish([service(1, "송금", "보내기"), service(2, "보내기", "송금")], tmp_path, ENCODER, counted)
    assert sorted(counted.texts) == ["보내기", "송금"]


def test_vectors_of_another_encoder_are_not_taken_over(tmp_path: Path) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed)
    again = Embedder()
    publish(CATALOG, tmp_path, OTHER_ENCODER, again)
    assert len(again.texts) == 11


def test_an_upgrade_embeds_nothing_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    as_format_1(folder)
    again = Embedder()
    assert publish(CATALOG, tmp_path, ENCODER, again) == 2
    assert again.texts == []
    assert load(folder_of(tmp_path, 2)).lexical


@pytest.mark.parametrize("damage", ["vectors", "manifest", "CURRENT", "gone"])
def test_a_damaged_index_is_made_whole_by_the_next_publish(tmp_path: Path, damage: str) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    if damage == "vectors":
        (folder / "vectors.safetensors").write_bytes(b"")
    elif damage == "manifest":
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "encoder": None}))
    elif damage == "CURRENT":
        (tmp_path / "CURRENT").write_text("?")
    else:
        shutil.rmtree(folder)
    again = Embedder()
    number = publish(CATALOG, tmp_path, ENCODER, again)
    assert len(again.texts) == 11
    assert current(tmp_path) == number == 2
    assert load(folder_of(tmp_path, 2)).ids_padded.tolist() == [2, 3, 7, -1]


def test_a_publish_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed)
    before = tree(tmp_path)

    def fail(texts: Sequence[str]) -> Floats:
        raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError):
        publish([*CATALOG, service(9, "적금")], tmp_path, ENCODER, fail)
    assert tree(tmp_path) == before
    assert publish([*CATALOG, service(9, "적금")], tmp_path, ENCODER, embed) == 2


@pytest.mark.parametrize("number", [np.nan, np.inf, 0])
def test_a_text_without_an_embedding_is_named_and_nothing_is_published(tmp_path: Path, number: float) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed)
    before = tree(tmp_path)

    def embed_badly(texts: Sequence[str]) -> Floats:
        vectors = embed(texts)
        vectors[texts.index("적금")] = number
        return vectors

    with pytest.raises(CatalogError, match=r"^'적금' has no embedding: it is zero or not a number$"):
        publish([*CATALOG, service(9, "적금")], tmp_path, ENCODER, embed_badly)
    assert tree(tmp_path) == before


def test_an_embedder_that_skips_a_text_does_not_shift_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        publish(CATALOG, tmp_path, ENCODER, lambda texts: embed(texts)[1:])
    assert current(tmp_path) is None


def test_two_publishers_at_once_both_publish_and_neither_overwrites_the_other(tmp_path: Path) -> None:
    signs = [tmp_path.with_name(name) for name in ("first", "second")]
    publishers = [start(tmp_path, own, other, 0.7) for own, other in (signs, signs[::-1])]
    numbers = [publisher.communicate(timeout=60)[0].strip() for publisher in publishers]
    assert [publisher.returncode for publisher in publishers] == [0, 0]
    assert sorted(numbers) == ["1", "2"]
    assert current(tmp_path) == 2
    for number in (1, 2):
        assert load(folder_of(tmp_path, number)).number == number


def test_a_publisher_that_is_killed_harms_neither_what_serves_nor_the_next_one(tmp_path: Path) -> None:
    publish(CATALOG[:1], tmp_path, ENCODER, embed)
    before = tree(tmp_path)
    sign = tmp_path.with_name("sign")
    publisher = start(tmp_path, sign, tmp_path / "never", 60)
    try:
        deadline = time.monotonic() + 60
        while not sign.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        publisher.kill()
        publisher.communicate()
    assert publisher.returncode == -signal.SIGKILL
    assert tree(tmp_path) == before
    assert publish(CATALOG, tmp_path, ENCODER, embed) == 2


def test_what_a_killed_publisher_left_half_written_does_not_get_into_the_next_generation(tmp_path: Path) -> None:
    left = tmp_path / "generations" / ".000001.tmp"
    left.mkdir(parents=True)
    (left / "vectors.safetensors").write_bytes(b"half")
    (left / "other").write_bytes(b"")
    assert publish(CATALOG, tmp_path, ENCODER, embed) == 1
    assert sorted(path.name for path in folder_of(tmp_path, 1).iterdir()) == [
        "lexical.safetensors",
        "manifest.json",
        "null_topics.jsonl",
        "services.jsonl",
        "vectors.safetensors",
    ]
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["000001"]


def test_a_half_written_current_of_a_killed_publisher_is_taken_over(tmp_path: Path) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed)
    (tmp_path / ".CURRENT.tmp").write_text("0")
    assert publish(CATALOG, tmp_path, ENCODER, embed) == current(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "CURRENT", "generations"]


def test_a_number_never_means_two_generations(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        assert publish(CATALOG, tmp_path, ENCODER, embed) == expected
    point_at(tmp_path, 1)
    assert publish(CATALOG, tmp_path, ENCODER, embed) == 4  # after a rollback
    shutil.rmtree(folder_of(tmp_path, 1))
    assert publish(CATALOG, tmp_path, ENCODER, embed) == 5  # after old ones were cleared away
    shutil.rmtree(folder_of(tmp_path, 5))
    assert publish(CATALOG, tmp_path, ENCODER, embed) == 6  # after the one that served was


def test_a_generation_does_not_change_once_it_is_published(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    before = tree(folder)
    publish([service(1, "새 메뉴")], tmp_path, ENCODER, embed)
    assert tree(folder) == before


def test_a_container_of_another_user_can_read_what_was_published(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    modes = {path.name: path.stat().st_mode & 0o044 for path in (*folder.iterdir(), tmp_path / "CURRENT")}
    assert set(modes.values()) == {0o044}, modes


def test_the_manifest_says_what_was_published_and_by_which_encoder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, dataclasses.replace(ENCODER, name="작은 모델"), embed, 0.5))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["encoder"] == {"name": "작은 모델", "fingerprint": "5" * 64, "dimension": DIMENSION}
    counts = [manifest[key] for key in ("generation", "services", "open_services", "phrases", "default_threshold")]
    assert counts == [1, 4, 3, 11, 0.5]


def test_a_catalog_comes_back_whole_from_a_generation(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))
    lines = (folder / "services.jsonl").read_text(encoding="utf-8").splitlines()
    fields = [json.loads(line) for line in lines]
    back = [Service(**{**one, "phrases": tuple(one["phrases"]), "surfaces": tuple(one["surfaces"])}) for one in fields]
    assert back == [CATALOG[3], CATALOG[1], CATALOG[0], CATALOG[2]]  # open ones by id, then closed ones
