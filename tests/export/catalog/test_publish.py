"""Publishing only what was not published yet, and through a server: what is compared, and whose vectors are taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index import history, reader, writer

from export.__main__ import main
from export.catalog import access, embedding
from export.errors import ExportError
from tests.index import ENCODER, service

ONE = service(1, "송금", "돈 보내기")
TWO = service(2, "환전", "달러 사기")


def vectors(texts: Any) -> Any:
    """A unit vector for each text, the same every time."""
    rows = [np.random.default_rng(len(text)).normal(size=ENCODER.dimension) for text in texts]
    return np.array(rows, dtype=np.float32)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository that the publishes in question never embed with."""
    (tmp_path / "model_repository/tokenizer/1").mkdir(parents=True)
    ENCODER.write(tmp_path / "model_repository/tokenizer/1/encoder.json")
    return tmp_path / "model_repository"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Generation 1 of ONE, and 2 of both services."""
    for services in ([ONE], [ONE, TWO]):
        writer.publish(services, tmp_path / "index", ENCODER, vectors)
    return tmp_path / "index"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The file that generation 2 was made of, in another order than the generation has it."""
    file = tmp_path / "catalog.jsonl"
    write(file, TWO, ONE)
    return file


def write(file: Path, *services: Any) -> None:
    lines = [json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in services]
    file.write_text("".join(lines), encoding="utf-8")


def publish(catalog: Path, index: Path, repository: Path, condition: str, *more: str) -> int:
    folders = ["--index", str(index), "--repository", str(repository)]
    return main(["catalog", "publish", str(catalog), "--offline", "--only-if", condition, *folders, *more])


def test_what_is_published_already_is_not_published_again(
    catalog: Path, index: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for condition in ("missing", "changed"):
        assert publish(catalog, index, repository, condition) == 0
        assert capsys.readouterr().out == f"{index} serves what was published already\n"
    assert history.numbers(index) == [1, 2]


def test_a_rollback_is_not_undone_by_the_next_publish_of_the_same_file(
    catalog: Path, index: Path, repository: Path
) -> None:
    history.rollback(index, 1, ENCODER.fingerprint)
    assert publish(catalog, index, repository, "changed") == 0
    assert reader.current(index) == 3  # generation 1 again


def test_texts_known_to_the_index_make_the_next_generation_when_the_catalog_changed(
    catalog: Path, index: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(catalog, TWO)
    assert publish(catalog, index, repository, "missing") == 0
    assert reader.current(index) == 2
    # The weights are missing, so embedding would fail: the current generation's vectors are enough.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "offline", lambda *_: vectors)
        assert publish(catalog, index, repository, "changed") == 0
        assert f"publishing, because {catalog} is not what generation 2 was made of" in capsys.readouterr().out
        assert reader.current(index) == 3
        assert publish(catalog, index, repository, "changed", "--default-threshold", "0.5") == 0
    assert reader.current(index) == 4
    assert "another default threshold" in capsys.readouterr().out
    assert publish(catalog, index, repository, "changed") == 0  # a threshold that was given stays
    assert reader.current(index) == 4


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("CURRENT", None, "nothing is published in "),
        ("CURRENT", "7", "is missing"),
        ("generations/000002/vectors.safetensors", "", "its checksum is not the manifest's"),
        ("generations/000002/manifest.json", '{"format": 1}', "format 1, this reads 3"),
        ("../model_repository/tokenizer/1/encoder.json", "5" * 64, "generation 2 was made by another encoder"),
    ],
)
def test_an_index_that_this_version_or_the_encoder_refuses_is_published_again(
    catalog: Path, index: Path, repository: Path, name: str, content: str | None, reason: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = index / name
    if content is None:
        file.unlink()
    elif file.name == "encoder.json":
        file.write_text(file.read_text().replace(content, "8" * 64))
    else:
        file.write_text(content)
    monkeypatch.setattr(embedding, "offline", lambda *_: vectors)
    assert publish(catalog, index, repository, "missing") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("publishing, because ")
    assert reason in printed
    assert publish(catalog, index, repository, "changed") == 0
    assert "published already" in capsys.readouterr().out


def test_watching_and_a_condition_do_not_go_together(
    catalog: Path, index: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(catalog, index, repository, "changed", "--watch") == 2
    assert "--only-if does not go with it" in capsys.readouterr().err


def test_the_key_is_read_from_its_file_else_from_the_variable_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    assert access.key(file, "other") == "secret"
    assert access.key(None, "other") == "other"
    assert access.key(None, "") is None
    file.write_bytes(b"\xff")
    with pytest.raises(ExportError, match=r"^--key-file: .*key cannot be read: it is not ASCII$"):
        access.key(file, None)
    with pytest.raises(ExportError, match=r"^--key-file: .* cannot be read: No such file or directory$"):
        access.key(tmp_path / "absent", None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--url", "ftp://x"], "url: 'ftp://x' is none of "),
        (["--tls-ca", "absent.pem"], "write grpcs:// or https://"),
        (["--url", "https://x:1", "--tls-cert", "a.pem"], "tls: cert and key go together"),
        (["--url", "https://x:1", "--tls-ca", "absent.pem"], "tls: ca: 'absent.pem' cannot be read"),
    ],
)
def test_a_server_s_address_or_certificate_that_cannot_be_used_is_one_sentence(
    options: list[str], sentence: str, catalog: Path, index: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--index", str(index), "--repository", str(repository)]
    assert main(["catalog", "publish", str(catalog), *folders, *options]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert history.numbers(index) == [1, 2]


class Other:
    """A client of a server whose vectors are this far from those of the files."""

    def __init__(self, cosine: float) -> None:
        self.cosine = cosine

    def embed(self, texts: list[str], kind: str) -> Any:
        """The vectors, turned by the angle."""
        straight = vectors(texts)
        straight /= np.linalg.norm(straight, axis=1, keepdims=True)
        aside = np.roll(straight, 1, axis=1)
        aside -= (aside * straight).sum(axis=1, keepdims=True) * straight
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        return self.cosine * straight + np.sqrt(1 - self.cosine**2) * aside


def test_another_runtime_of_the_same_encoder_may_publish_and_another_encoder_may_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedding, "offline", lambda *_, **__: vectors)
    texts = ["송금", "돈 보내기", "달러"]

    def embed(cosine: float) -> Any:
        client: Any = Other(cosine)
        return embedding.online(client, "there", tmp_path)(texts)

    assert embed(0.998).shape == (3, ENCODER.dimension)  # int8 in two versions of onnxruntime
    with pytest.raises(embedding.OtherEncoderError, match="restart it first"):
        embed(0.993)  # the same weights with another prompt


def test_texts_whose_vectors_the_caller_has_are_not_embedded_again() -> None:
    known = {"이체": np.full(3, 7, np.float32)}
    asked: list[str] = []

    def embed(texts: Any) -> Any:
        asked.extend(texts)
        return np.arange(3 * len(texts), dtype=np.float32).reshape(-1, 3)

    found = embedding.completed(known.get, embed)(["송금", "이체", "환전"])
    assert asked == ["송금", "환전"]
    np.testing.assert_array_equal(found, [[0, 1, 2], [7, 7, 7], [3, 4, 5]])
    np.testing.assert_array_equal(embedding.completed(known.get, embed)(["이체"]), [[7, 7, 7]])
