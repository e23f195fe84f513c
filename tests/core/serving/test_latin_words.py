"""Latin words of the catalog: the tokenizer knows them as soon as a catalog is published, and survives a bad index."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from malgil_core.index.reader import folder_of
from malgil_core.index.writer import point_at, publish
from malgil_core.ranking.types import Floats
from malgil_core.serving.latin_words import LatinWords

from tests.index import ENCODER, embed, service


def publish_phrases(index: Path, *phrases: str) -> int:
    closed = service(2, "닫힘", "ELF 펀드", open=False)
    return publish([service(1, "투자", *phrases), closed], index, ENCODER, embed)


@pytest.fixture
def log() -> list[str]:
    return []


def test_words_of_open_phrases_are_known_from_the_first_publish_on(tmp_path: Path, log: list[str]) -> None:
    words = LatinWords(tmp_path, log.append)
    words.refresh()
    assert "aud" not in words
    publish_phrases(tmp_path, "AUD 환율", "rp 매수")
    words.refresh()
    assert [word in words for word in ("aud", "rp", "elf", "AUD")] == [True, True, False, False]
    publish_phrases(tmp_path, "DLS 청약")
    words.refresh()
    assert [word in words for word in ("aud", "dls")] == [False, True]
    assert not log


def test_a_publish_is_followed_in_the_background(tmp_path: Path, log: list[str]) -> None:
    words = LatinWords(tmp_path, log.append)
    words.start()
    try:
        publish_phrases(tmp_path, "AUD 환율")
        until = time.monotonic() + 30
        while "aud" not in words and time.monotonic() < until:
            time.sleep(0.05)
        assert "aud" in words
    finally:
        words.stop()


@pytest.mark.parametrize("content", ["{", "[]", '{"latin_words": 3}', "null", "\x00", "[" * 100_000])
def test_a_damaged_manifest_leaves_the_words_and_is_told_once(tmp_path: Path, log: list[str], content: str) -> None:
    publish_phrases(tmp_path, "AUD 환율")
    words = LatinWords(tmp_path, log.append)
    words.refresh()
    number = publish_phrases(tmp_path, "DLS 청약")
    (folder_of(tmp_path, number) / "manifest.json").write_text(content)
    for _ in range(3):
        words.refresh()
    assert "aud" in words
    assert len(log) == 1
    assert f"latin_words of generation {number} cannot be read" in log[0]


def test_an_older_generation_has_no_words_and_a_missing_one_changes_none(tmp_path: Path, log: list[str]) -> None:
    number = publish_phrases(tmp_path, "AUD 환율")
    words = LatinWords(tmp_path, log.append)
    words.refresh()
    point_at(tmp_path, 99)
    words.refresh()
    assert "aud" in words
    manifest = folder_of(tmp_path, number) / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["latin_words"]
    manifest.write_text(json.dumps(content))
    point_at(tmp_path, number)
    words.refresh()
    assert "aud" not in words


def test_phrases_whose_latin_words_an_older_publish_may_have_changed_are_embedded_again(tmp_path: Path) -> None:
    number = publish_phrases(tmp_path, "AUD 환율", "환전")
    manifest = folder_of(tmp_path, number) / "manifest.json"
    embedded: list[str] = []

    def embed_again(texts: Sequence[str]) -> Floats:
        embedded.extend(texts)
        return embed(texts)

    catalog = [service(1, "투자", "AUD 환율", "환전")]
    publish(catalog, tmp_path, ENCODER, embed_again)
    assert embedded == []
    point_at(tmp_path, number)
    content = json.loads(manifest.read_text())
    del content["latin_words"]
    manifest.write_text(json.dumps(content))
    publish(catalog, tmp_path, ENCODER, embed_again)
    assert embedded == ["AUD 환율"]
