"""The letters of phrases in a file: what comes back is what went in, and a change of how they are made is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.catalog import reading as catalog
from malgil_core.index.reader import GenerationError, folder_of, load
from malgil_core.index.writer import publish
from malgil_core.lexical.arrays import VERSION, read, spell, write
from malgil_core.lexical.index import LexicalIndex
from safetensors.numpy import load_file, save_file

from export import ROOT
from tests.index import CATALOG, ENCODER, embed

# Of the arrays that spell() makes of the sample catalogue. Another digest means that generations published before
# hold other arrays: raise VERSION with it.
DIGEST = "daf0e053c3faf988e5c7030c81cd449e7ff1c4f9578ee41b723667d2f3506a33"

WORDS = st.text(alphabet="송금계좌이체카드ㄱㅅㅏ값 aB1?", max_size=12) | st.text(max_size=8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("letters") / "lexical.safetensors"


@settings(max_examples=100, deadline=None)
@given(phrases=st.lists(WORDS, max_size=12), query=WORDS, data=st.data())
def test_an_index_from_a_file_says_exactly_what_one_made_on_the_spot_says(
    file: Path, phrases: list[str], query: str, data: st.DataObject
) -> None:
    is_name = np.array(data.draw(st.lists(st.booleans(), min_size=len(phrases), max_size=len(phrases))), bool)
    made = spell(phrases)
    write(file, made)
    stored = read(file, phrases)
    for form, own in zip(stored, made, strict=True):
        assert [array.tolist() for array in form] == [array.tolist() for array in own]
    indices = [LexicalIndex(letters, is_name) for letters in (made, stored)]
    for text in (query, *phrases):
        ours, theirs = (index.matches(text) for index in indices)
        assert (ours.rows.tolist(), ours.scores.tobytes()) == (theirs.rows.tolist(), theirs.scores.tobytes())


def test_letters_of_other_phrases_are_refused_wherever_they_differ(file: Path) -> None:
    phrases = [f"{i}번 계좌" for i in range(300)]
    write(file, spell(phrases))
    read(file, phrases)
    for row in (0, 150, 299):
        with pytest.raises(ValueError, match="it is not of the phrases"):
            read(file, [*phrases[:row], "다른 것", *phrases[row + 1 :]])
    with pytest.raises(ValueError, match="it is not of the phrases"):
        read(file, phrases[:-1])


def test_letters_are_not_made_in_another_way_under_the_same_version() -> None:
    phrases = [text for service in catalog.read(ROOT / "catalogs/finance.jsonl") for text in service.texts]
    made = b"".join(array.tobytes() for form in spell(phrases) for array in form)
    assert (VERSION, hashlib.sha256(made).hexdigest()) == ("1", DIGEST)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A generation's folder."""
    return folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))


def replaced(folder: Path, arrays: dict[str, Any], version: str) -> None:
    """Put these arrays into a generation, as if they had been published."""
    file = folder / "lexical.safetensors"
    save_file(arrays, file, metadata={"letters": version})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("keys.text", lambda a: a.astype(np.int32), r"keys\.text is int32 \[\d+\]: it must be uint8 \[n\]"),
        ("keys.starts", lambda a: a.astype(np.int64), r"keys\.starts is int64 \[\d+\]: it must be int32 \[n\]"),
        ("initials.ends", lambda a: a[:, np.newaxis], r"initials\.ends is int32 \[9, 1\]: it must be int32 \[n\]"),
        ("keys.text", lambda a: np.where(a == a[0], a[1], a), r"it is not of the phrases in services\.jsonl"),
        ("keys.ends", lambda a: a[:-1], r"it is not of the phrases in services\.jsonl: publish again"),
        ("keys.owners", lambda a: a + 9, "owners names a phrase that is not there"),
        ("initials.starts", lambda a: a[::-1], "starts is not in order"),
        ("more", lambda a: np.zeros(1), r"it must hold keys\.text, .*, initials\.times"),
    ],
)
def test_letters_that_are_not_those_of_the_phrases_do_not_serve(
    published: Path, name: str, change: Callable[[Any], Any], complaint: str
) -> None:
    arrays = load_file(published / "lexical.safetensors")
    replaced(published, {**arrays, name: np.ascontiguousarray(change(arrays.get(name)))}, VERSION)
    with pytest.raises(GenerationError, match=rf"000001: lexical\.safetensors: {complaint}"):
        load(published)
    assert load(published, with_lexical=False).number == 1


def test_letters_made_in_another_way_do_not_serve(published: Path) -> None:
    replaced(published, load_file(published / "lexical.safetensors"), "0")
    with pytest.raises(GenerationError, match=r"version '0' of the letters, this reads '1': publish again"):
        load(published)
