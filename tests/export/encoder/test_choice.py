"""What `python -m export encoder` takes where neither precision nor vocabulary is named, and when it does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from malgil_core.encoder import EncoderMetadata

from export.__main__ import main
from export.encoder import choice, existing
from export.encoder import export as encoder
from tests.encoders import save_plain

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tells of an NVIDIA GPU: there is none until the test makes it."""
    path = tmp_path / "nvidiactl"
    monkeypatch.setattr(choice, "GPU", path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plain(tmp_path_factory.mktemp("source") / "bert", "bert")


def test_a_machine_without_a_gpu_serves_in_int8_and_says_why(
    small: Path, gpu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encoder", str(small), "--repository", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "chosen: int8, because this machine has no NVIDIA GPU" in printed.out
    assert "chosen: all, because " in printed.out
    assert "what it costs and saves" not in printed.out  # which takes a second export
    assert "Loading weights" not in printed.err
    metadata = EncoderMetadata.of(tmp_path)
    assert (metadata.precision, metadata.vocabulary, metadata.source) == ("int8", "all", str(small))


def test_a_machine_with_a_gpu_serves_in_fp32_which_its_kernels_can_run(gpu: Path) -> None:
    assert choice.precision().name == "int8"
    gpu.touch()
    assert choice.precision().name == "fp32"
    assert "NVIDIA GPU" in choice.precision().reason


def test_an_encoder_that_has_fp32_only_is_exported_without_naming_it(gpu: Path, tmp_path: Path) -> None:
    exported = encoder.export(str(save_plain(tmp_path / "mpnet", "mpnet")), tmp_path, precision="auto", pieces="auto")
    assert exported.metadata.precision == "fp32"
    assert exported.choices[0].reason == "an encoder that is wrapped whole has no other precision"
    assert existing.why_changed(tmp_path, str(tmp_path / "mpnet"), "auto", "auto") is None


def test_only_the_bundled_encoder_loses_other_scripts_unasked() -> None:
    assert choice.vocabulary("bundled").name == "ko"
    assert choice.vocabulary("intfloat/multilingual-e5-small").name == "all"


def test_where_fp32_cannot_be_had_the_comparison_is_left_out_and_the_export_stands(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where memory or disk suffices for int8 and not for fp32."""
    built = encoder.build

    def build(loaded: object, progress: object, precision: str, data: object) -> object:
        if precision == "fp32":
            raise MemoryError("no room for fp32")
        return built(loaded, precision=precision)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder, "build", build)
    assert main(["encoder", str(small), "--precision", "int8", "--repository", str(tmp_path)]) == 0
    assert "not compared with fp32, which was not exported: no room for fp32" in capsys.readouterr().out
    assert existing.why_missing(tmp_path) is None


@pytest.fixture
def repository(small: Path, gpu: Path, tmp_path: Path) -> Path:
    """A model repository with the small encoder."""
    encoder.export(str(small), tmp_path, precision="int8")
    return tmp_path


def test_an_export_that_is_there_is_not_made_again(
    repository: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = repository / "encoder/1/model.onnx"
    made = model.stat().st_ino
    for condition in ("missing", "changed"):
        assert main(["encoder", str(small), "--repository", str(repository), "--only-if", condition]) == 0
        assert capsys.readouterr().out == f"{repository} holds the encoder already\n"
    assert model.stat().st_ino == made
    assert main(["encoder", "bundled", "--repository", str(repository), "--only-if", "missing"]) == 0
    assert model.stat().st_ino == made


@pytest.mark.parametrize("name", ["encoder/1/model.onnx", "tokenizer/1/tokenizer.json", "tokenizer/1/encoder.json"])
@pytest.mark.parametrize("damage", ["absent", "short"])
def test_an_export_with_a_missing_or_damaged_file_is_made_again(
    repository: Path, small: Path, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = repository / name
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-10])
    assert main(["encoder", str(small), "--repository", str(repository), "--only-if", "missing"]) == 0
    assert "exporting, because " in capsys.readouterr().out
    assert existing.why_missing(repository) is None


def test_what_is_asked_for_otherwise_is_named(repository: Path, small: Path, gpu: Path) -> None:
    def why(source: object = small, precision: str = "auto", vocabulary: str = "auto") -> str | None:
        return existing.why_changed(repository, str(source), precision, vocabulary)

    assert why() is None
    assert why(precision="fp32") == f"{repository} has precision int8, not fp32"
    assert why(vocabulary="ko") == f"{repository} has vocabulary all, not ko"
    assert why("other") == f"{repository} has source {small}, not other"
    gpu.touch()  # the machine was given one
    assert why() == f"{repository} has precision int8, not fp32"
    metadata = repository / "tokenizer/1/encoder.json"
    content = json.loads(metadata.read_text())
    del content["source"]
    metadata.write_text(json.dumps(content))
    assert why(precision="int8") == f"{repository} has source unknown, not {small}"
