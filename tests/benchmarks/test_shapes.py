"""The encoders of the speed tables are what they are called."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from malgil_core.encoder import EncoderMetadata
from malgil_core.text.tokenization import Tokenization

from benchmarks import shapes
from export.encoder import export as encoder
from server.launcher import check_exported

pytestmark = pytest.mark.slow

TINY = {
    "electra": shapes.Shape("electra", 2_000, 16, 32, 2, 2, 64),
    "bert": shapes.Shape("bert", 3_000, 32, 32, 2, 2, 64),
}


def test_the_published_shapes_are_the_published_ones() -> None:
    small, base = shapes.SHAPES["koelectra-small-v3"], shapes.SHAPES["bert-base-multilingual-cased"]
    assert (small.vocabulary, small.embedding, small.hidden) == (35_000, 128, 256)
    assert (small.layers, small.heads, small.inner) == (12, 4, 1_024)
    assert (base.vocabulary, base.embedding, base.hidden) == (119_547, 768, 768)
    assert (base.layers, base.heads, base.inner) == (12, 12, 3_072)


@pytest.mark.parametrize("vocabulary", [35_000, 119_547])
def test_the_tokenizer_has_the_published_vocabulary_and_knows_korean(vocabulary: int) -> None:
    tokenizer = shapes.tokenizer(shapes.texts(), vocabulary)
    assert len(tokenizer) == vocabulary
    assert sorted(tokenizer.get_vocab().values()) == list(range(vocabulary))
    encoded = tokenizer(shapes.texts())["input_ids"]
    assert tokenizer.unk_token_id not in {token for ids in encoded for token in ids}
    characters = sum(len(text.replace(" ", "")) for text in shapes.texts())
    assert characters / sum(len(ids) - 2 for ids in encoded) == pytest.approx(1.6, abs=0.1)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shapes, "BENCH", tmp_path / "bench")
    for name, shape in TINY.items():
        monkeypatch.setitem(shapes.SHAPES, name, shape)
    return tmp_path / "bench"


@pytest.mark.parametrize("name", TINY)
def test_a_shape_becomes_a_repository_that_can_be_served(name: str, bench: Path) -> None:
    repository = shapes.prepare(name)
    check_exported(repository)
    metadata = EncoderMetadata.of(repository)
    assert (metadata.family, metadata.graph, metadata.max_length) == (name, "packed", 512)
    assert (bench / name / "index" / "CURRENT").read_text().strip() == "000001"
    ids = Tokenization.load(repository / "tokenizer" / "1").encode(["돈 보내기"], ["query"])[0]
    assert len(ids) >= 4


def test_what_was_exported_is_kept_until_its_code_changes_and_the_rest_is_always_new(
    bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = shapes.prepare("electra")
    exports: list[str] = []
    export = encoder.export

    def counted(location: str, *rest: Any, **named: Any) -> encoder.Exported:
        exports.append(location)
        return export(location, *rest, **named)

    monkeypatch.setattr(encoder, "export", counted)
    (repository / "scorer" / "1" / "model.py").write_text("an older one")
    (repository / "scorer" / "removed.py").write_text("no longer in the project")
    shapes.prepare("electra")
    assert not exports
    assert (repository / "scorer/1/model.py").read_bytes() == (shapes.REPOSITORY / "scorer/1/model.py").read_bytes()
    assert not (repository / "scorer" / "removed.py").exists()
    monkeypatch.setattr(shapes, "code", lambda: "changed")
    shapes.prepare("electra")
    assert len(exports) == 1


def test_the_bundled_encoder_is_not_exported_twice(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("`make export` has made it")

    monkeypatch.setattr(encoder, "export", refuse)
    repository = shapes.prepare(shapes.BUNDLED)
    check_exported(repository)
    linked = (repository / "encoder/1/model.onnx").resolve()
    assert linked == shapes.REPOSITORY / "encoder/1/model.onnx"
    assert (bench / shapes.BUNDLED / "index" / "CURRENT").exists()


def test_weights_in_a_file_of_their_own_are_served_and_counted_and_go_when_they_are_gone(
    bench: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(repository, tmp_path / "model_repository")
    monkeypatch.setattr(shapes, "REPOSITORY", project)
    size = (project / "encoder/1/model.onnx").stat().st_size
    (project / shapes.DATA).write_bytes(b"weights")
    served = shapes.prepare(shapes.BUNDLED)
    assert (served / shapes.DATA).read_bytes() == b"weights"
    assert shapes.model_bytes(served) == size + len(b"weights")
    (project / shapes.DATA).unlink()
    assert shapes.model_bytes(shapes.prepare(shapes.BUNDLED)) == size
    assert not (served / shapes.DATA).is_symlink()
