"""An exported encoder's metadata: what one export writes, every part reads, or refuses in a sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from malgil_core.encoder import FORMAT, EncoderMetadata, EncoderMetadataError, fingerprint

from tests.index import ENCODER
from tests.malformed import BOUNDED, error_of, odd_json

CONTENT = dataclasses.asdict(ENCODER)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported") / "encoder.json"


def refusal(file: Path, content: Any) -> str:
    """The sentence with which this content is refused."""
    file.write_text(json.dumps(content))
    with pytest.raises(EncoderMetadataError) as refused:
        EncoderMetadata.read(file)
    return str(refused.value)


def test_what_an_export_says_of_its_encoder_is_what_the_server_reads(file: Path) -> None:
    korean = dataclasses.replace(ENCODER, name="한국어 모델", prompts={"query": "질문: ", "passage": ""})
    korean.write(file)
    assert EncoderMetadata.read(file) == korean


def test_a_repository_without_an_encoder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"1/encoder\.json is missing: run `python -m export encoder` first$"):
        EncoderMetadata.of(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(EncoderMetadataError, match=r"cannot be read: Is a directory; run `python -m export encoder`$"):
        EncoderMetadata.read(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", 5, "name must be a text"),
        ("name", "\ud800", "name must be a text"),
        ("dimension", 0, "dimension is 0: it must be a whole number from 1 to 2147483647"),
        ("dimension", True, "dimension is True: it must be a whole number from 1 to 2147483647"),
        ("max_length", 512.5, "max_length is 512.5: it must be a whole number from 1 to 2147483647"),
        ("normalize", "yes", "normalize must be true or false"),
        ("prompts", {"query": "q: "}, "prompts must have a text for each of query, passage"),
        ("files", {"model.onnx": None}, "files must have a checksum for each file"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_bound(file: Path, field: str, value: Any, sentence: str) -> None:
    assert refusal(file, {**CONTENT, field: value}).endswith(
        f"encoder.json is damaged: {sentence}; run `python -m export encoder` again"
    )


@pytest.mark.parametrize("old", [{}, {"format": 3}])
def test_an_encoder_of_another_version_is_to_be_exported_again(file: Path, old: dict[str, Any]) -> None:
    content = {name: value for name, value in CONTENT.items() if name != "format"}
    sentence = refusal(file, {**content, **old})
    assert f"exported by another version (format {old.get('format', 1)}, not {FORMAT})" in sentence
    assert sentence.endswith("run `python -m export encoder` again")


@pytest.mark.parametrize("field", sorted(CONTENT.keys() - {"format", "source", "source_fingerprint"}))
def test_a_field_that_is_missing_is_named(file: Path, field: str) -> None:
    content = {name: value for name, value in CONTENT.items() if name != field}
    assert f"damaged: {field} is missing; run" in refusal(file, content)


@BOUNDED
@given(content=odd_json(CONTENT))
def test_no_metadata_gets_into_a_server_or_an_index_broken(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    def used(metadata: EncoderMetadata) -> None:
        metadata.write(file)
        assert EncoderMetadata.read(file) == metadata

    error_of(lambda: EncoderMetadata.read(file), EncoderMetadataError, used)


def test_an_encoder_that_gives_other_vectors_has_another_fingerprint() -> None:
    same = fingerprint(ENCODER.files, ENCODER.prompts, ENCODER.max_length)
    others = [
        fingerprint({**ENCODER.files, "model.onnx": "3" * 64}, ENCODER.prompts, ENCODER.max_length),
        fingerprint(ENCODER.files, {**ENCODER.prompts, "query": "질문: "}, ENCODER.max_length),
        fingerprint(ENCODER.files, ENCODER.prompts, ENCODER.max_length - 1),
    ]
    assert len({same, *others}) == 4
    assert fingerprint(dict(sorted(ENCODER.files.items(), reverse=True)), ENCODER.prompts, ENCODER.max_length) == same
