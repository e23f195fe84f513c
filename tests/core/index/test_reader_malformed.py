"""Whatever is wrong with the files of a generation, and whether its checksums hide it: refused, or served safely."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.index.generation import Generation, GenerationError
from malgil_core.index.reader import FILES, FORMAT, current, folder_of, load, read_manifest
from malgil_core.index.writer import publish
from malgil_core.lexical.arrays import VERSION
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.request import lay_out
from malgil_core.ranking.types import QueryOptions
from safetensors.numpy import load_file, save

from tests.index import CATALOG, ENCODER, NULL_TOPICS, embed
from tests.malformed import BOUNDED, damaged, error_of, odd_json

pytestmark = pytest.mark.slow

QUERIES = ("송금", "ㅅ", "ㄷㅊ", "thdrma", "돈 빌리기", "이체 한도")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a generation."""
    index = tmp_path_factory.mktemp("whole")
    folder = folder_of(index, publish(CATALOG, index, ENCODER, embed, 0.25, NULL_TOPICS))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one damaged generation is written over the other."""
    folder = tmp_path_factory.mktemp("damaged") / "000001"
    folder.mkdir()
    return folder


def served(generation: Generation) -> None:
    """Answer queries from a generation, as the scorer does."""
    for option in (QueryOptions(), QueryOptions(3, next(iter(generation.surfaces), None), 0.1)):
        queries = generation.matrix[:1].repeat(len(QUERIES), axis=0)
        if not len(queries):
            return
        assert generation.lexical
        matches = [generation.lexical.matches(query) for query in QUERIES]
        options = [option] * len(QUERIES)
        outputs = lay_out(generation, CpuScorer(generation).rank(queries, options, matches), options)
        for name in ("score", "dense", "lexical", "null_score"):
            assert not np.isnan(outputs[name]).any()
            assert outputs[name].max() <= 1 + 1e-3
        for text in np.concatenate([outputs[name].ravel() for name in ("name", "path", "phrase", "null_topic")]):
            text.decode()
        assert outputs["id"].min() >= -1


def outcome(folder: Path, files: dict[str, bytes], sealed: bool) -> str | None:
    """Why a generation of these files does not serve, None if it does; with checksums that fit if `sealed`."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if sealed:
        manifest = json.loads(files["manifest.json"])
        manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES[FORMAT]}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return error_of(lambda: load(folder), GenerationError, served)


def test_the_whole_one_serves(folder: Path, whole: dict[str, bytes]) -> None:
    assert outcome(folder, whole, sealed=False) is None
    assert outcome(folder, whole, sealed=True) is None


@BOUNDED
@given(data=st.data(), name=st.sampled_from(FILES[FORMAT]), sealed=st.booleans())
def test_no_damage_to_a_file_stops_the_scorer(
    folder: Path, whole: dict[str, bytes], data: st.DataObject, name: str, sealed: bool
) -> None:
    content = data.draw(damaged(whole[name]))
    refused = outcome(folder, {**whole, name: content}, sealed)
    assert sealed or content == whole[name] or name in (refused or "")


@BOUNDED
@given(data=st.data())
def test_no_manifest_stops_the_scorer(folder: Path, whole: dict[str, bytes], data: st.DataObject) -> None:
    content = data.draw(odd_json(json.loads(whole["manifest.json"])))
    outcome(folder, {**whole, "manifest.json": content}, sealed=False)
    error_of(lambda: read_manifest(folder, tuple(FILES)), GenerationError)


@BOUNDED
@given(data=st.data())
def test_no_line_of_the_catalog_stops_the_scorer(folder: Path, whole: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["services.jsonl", "null_topics.jsonl"]))
    lines = whole[name].splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(odd_json(json.loads(lines[at])))
    outcome(folder, {**whole, name: b"\n".join(lines)}, sealed=True)


@BOUNDED
@given(data=st.data(), file=st.sampled_from(["vectors.safetensors", "lexical.safetensors"]))
def test_no_array_of_another_kind_or_with_other_numbers_stops_the_scorer(
    folder: Path, whole: dict[str, bytes], data: st.DataObject, file: str
) -> None:
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    arrays = load_file(folder / file)
    name = data.draw(st.sampled_from(sorted(arrays)))
    arrays[name] = np.ascontiguousarray(data.draw(st.sampled_from(CHANGES))(arrays[name]))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, max(arrays[name].size - 1, 0)))
        limits = [0, 1, -1, 127, 128, 255, 2**31 - 1, -(2**31)]
        np.put(arrays[name], [at] if arrays[name].size else [], data.draw(st.sampled_from(limits)) % 256)
    content = save(arrays, metadata={"version": VERSION})
    outcome(folder, {**whole, file: content}, sealed=True)


CHANGES: list[Any] = [
    lambda a: a,
    lambda a: a[:0],
    lambda a: a[:-1],
    lambda a: np.concatenate([a, a]),
    lambda a: a[::-1],
    lambda a: np.sort(a, axis=0),
    lambda a: np.roll(a, 1, axis=0),
    lambda a: -a if a.dtype.kind != "u" else ~a,
    lambda a: a * 0,
    lambda a: a * 0 + 1,
    lambda a: a + 1,
    lambda a: a * 2**30,
    lambda a: a.astype(np.float64) * np.nan,
    lambda a: a * (np.nan if a.dtype.kind == "f" else 1),
    lambda a: a * (np.inf if a.dtype.kind == "f" else 1),
    lambda a: a.astype(np.float16),
    lambda a: a.astype(np.int64),
    lambda a: a.astype(bool),
    lambda a: a.reshape(1, -1),
    lambda a: a.ravel(),
    lambda a: a.ravel()[:1].reshape(()),
    lambda a: np.zeros((0, 2**20), a.dtype),
]


@BOUNDED
@given(content=damaged(b"000001\n"))
def test_no_current_stops_the_scorer(folder: Path, content: bytes) -> None:
    (folder / "CURRENT").write_bytes(content)
    refused = error_of(lambda: current(folder), GenerationError)
    assert refused is None or "must be a generation's number" in refused


def test_a_header_that_promises_more_than_the_file_holds_takes_no_memory(folder: Path, whole: dict[str, bytes]) -> None:
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [2**40, 8], "data_offsets": [0, 2**45]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"\0" * 64
    for name in ("vectors.safetensors", "lexical.safetensors"):
        for claimed in (content, (2**60).to_bytes(8, "little") + header):
            assert outcome(folder, {**whole, name: claimed}, sealed=True)
