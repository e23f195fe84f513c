"""lexical.safetensors: read as it was written, and a change of how it is made is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.catalog import reading as catalog
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import folder_of, load
from malgil_core.index.writer import publish
from malgil_core.lexical.arrays import NAMES, VERSION, PhraseArrays, read, write
from malgil_core.lexical.index import LexicalIndex
from safetensors.numpy import load_file, save_file

from export import ROOT
from tests.index import CATALOG, ENCODER, embed

# Of the arrays of the sample catalog. Another digest means that generations published before hold other arrays: raise
# VERSION with it.
DIGEST = "daf0e053c3faf988e5c7030c81cd449e7ff1c4f9578ee41b723667d2f3506a33"

WORDS = st.text(alphabet="송금계좌이체카드ㄱㅅㅏ값 aB1?", max_size=12) | st.text(max_size=8)


def flat(arrays: PhraseArrays) -> list[npt.NDArray[Any]]:
    """All arrays, in the order of NAMES."""
    return [array for form in arrays for part in form for array in part]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lexical") / "lexical.safetensors"


@settings(max_examples=100, deadline=None)
@given(phrases=st.lists(WORDS, max_size=12), query=WORDS, data=st.data())
def test_a_published_index_finds_exactly_what_one_in_memory_finds(
    file: Path, phrases: list[str], query: str, data: st.DataObject
) -> None:
    is_name = np.array(data.draw(st.lists(st.booleans(), min_size=len(phrases), max_size=len(phrases))), bool)
    made = PhraseArrays.of(phrases)
    write(file, made)
    stored = read(file, phrases)
    assert all(np.array_equal(*pair) for pair in zip(flat(stored), flat(made), strict=True))
    in_memory, published = LexicalIndex(made, is_name), LexicalIndex(stored, is_name)
    for text in (query, *phrases):
        expected, found = in_memory.matches(text), published.matches(text)
        assert found.rows.tolist() == expected.rows.tolist()
        assert found.scores.tobytes() == expected.scores.tobytes()


def test_arrays_of_other_phrases_are_refused_wherever_they_differ(file: Path) -> None:
    phrases = [f"{i}번 계좌" for i in range(300)]
    write(file, PhraseArrays.of(phrases))
    read(file, phrases)
    for row in (0, 150, 299):
        with pytest.raises(ValueError, match="it is not of the phrases"):
            read(file, [*phrases[:row], "다른 것", *phrases[row + 1 :]])
    with pytest.raises(ValueError, match="it is not of the phrases"):
        read(file, phrases[:-1])


def test_a_new_version_does_not_read_arrays_made_in_another_way() -> None:
    phrases = [text for service in catalog.read(ROOT / "catalogs/finance.jsonl") for text in service.texts]
    made = b"".join(array.tobytes() for array in flat(PhraseArrays.of(phrases)))
    assert (VERSION, hashlib.sha256(made).hexdigest()) == ("2", DIGEST)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A generation's folder."""
    return folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed))


def replace_arrays(folder: Path, arrays: dict[str, Any], metadata: dict[str, str]) -> None:
    """Put these arrays into a generation, as if they had been published."""
    file = folder / "lexical.safetensors"
    save_file(arrays, file, metadata=metadata)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("keystrokes.text", lambda a: a.astype(np.int32), r"keystrokes\.text is int32 \[\d+\]: it must be uint8 \[n\]"),
        ("keystrokes.starts", lambda a: a.astype(np.int64), r"keystrokes\.starts is int64 \[\d+\]: it must be int32"),
        ("initials.ends", lambda a: a[:, np.newaxis], r"initials\.ends is int32 \[9, 1\]: it must be int32 \[n\]"),
        ("keystrokes.text", lambda a: np.where(a == a[0], a[1], a), r"it is not of the phrases in services\.jsonl"),
        ("keystrokes.ends", lambda a: a[:-1], r"it is not of the phrases in services\.jsonl: publish again"),
        ("keystrokes.posting_rows", lambda a: a + 9, "posting_rows names a phrase that is not there"),
        ("initials.starts", lambda a: a[::-1], "starts is not in order"),
        ("more", lambda a: np.zeros(1), r"it must hold keystrokes\.text, .*, initials\.term_freq"),
    ],
)
def test_an_index_that_is_not_of_the_phrases_does_not_serve(
    published: Path, name: str, change: Callable[[Any], Any], complaint: str
) -> None:
    arrays = load_file(published / "lexical.safetensors")
    changed = np.ascontiguousarray(change(arrays.get(name)))
    replace_arrays(published, {**arrays, name: changed}, {"version": VERSION})
    with pytest.raises(GenerationError, match=rf"000001: lexical\.safetensors: {complaint}"):
        load(published)
    assert load(published, with_lexical=False).number == 1


@pytest.mark.parametrize(("metadata", "version"), [({"version": "3"}, "3"), ({"letters": "1"}, "1")])
def test_an_index_of_another_version_does_not_serve_and_is_published_again_without_embedding(
    published: Path, metadata: dict[str, str], version: str
) -> None:
    replace_arrays(published, {name: np.zeros(1) for name in NAMES}, metadata)
    with pytest.raises(GenerationError, match=rf"version '{version}' of the arrays, this reads '2': publish again"):
        load(published)
    index = published.parent.parent

    def no_embedding(texts: Sequence[str]) -> Any:
        raise AssertionError(texts)

    number = publish(CATALOG, index, ENCODER, no_embedding)
    assert load(folder_of(index, number)).lexical is not None
