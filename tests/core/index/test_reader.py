"""Loading a generation: what was published comes back, and whatever is damaged does not serve."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import current, folder_of, load
from malgil_core.index.writer import publish
from safetensors.numpy import load_file, save_file

from tests.index import CATALOG, DIMENSION, ENCODER, NULL_TOPICS, embed, service

FILES = ("manifest.json", "services.jsonl", "vectors.safetensors", "lexical.safetensors", "null_topics.jsonl")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generation; not to be written to."""
    index = tmp_path_factory.mktemp("published")
    return folder_of(index, publish(CATALOG, index, ENCODER, embed, 0.25, NULL_TOPICS))


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(published, tmp_path / published.name))


def seal(folder: Path) -> None:
    """Make the manifest's checksums those of the files, as if the damage had been published."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES[1:]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def lines(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the services of a generation."""
    services = [json.loads(line) for line in (folder / "services.jsonl").read_text().splitlines()]
    change(services)
    (folder / "services.jsonl").write_text("".join(json.dumps(service) + "\n" for service in services))
    seal(folder)


def tensors(folder: Path, **changed: Any) -> None:
    """Change the arrays of a generation."""
    save_file({**load_file(folder / "vectors.safetensors"), **changed}, folder / "vectors.safetensors")
    seal(folder)


def test_what_was_published_is_what_serves(published: Path) -> None:
    generation = load(published, ENCODER.fingerprint)
    assert generation.number == 1
    assert generation.dimension == DIMENSION
    assert generation.ids_padded.tolist() == [2, 3, 7, -1]
    assert [name.decode() for name in generation.names_padded] == ["대출", "환전", "송금", ""]
    assert [path.decode() for path in generation.paths_padded] == ["전체 > 대출", "전체 > 환전", "전체 > 송금", ""]
    texts = ["대출", "돈 빌리기", "이자 알아보기", "한도 조회", "환전", "달러 사기", "송금", "이체", "돈 보내기"]
    assert [phrase.decode() for phrase in generation.phrases_padded] == [*texts, ""]
    assert generation.service_of_row.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    vectors = embed(texts)
    np.testing.assert_allclose(generation.matrix, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)
    assert generation.matrix.dtype == np.float32
    assert generation.thresholds.tolist() == [0.25, 0.25, 0.5]
    assert {surface: shown.tolist() for surface, shown in generation.surfaces.items()} == {
        "RECO": [False, False, True],
        "SEARCH": [False, True, True],
    }


def test_services_without_any_threshold_show_whatever_they_score(tmp_path: Path) -> None:
    generation = load(folder_of(tmp_path, publish(CATALOG, tmp_path, ENCODER, embed)))
    assert generation.thresholds.tolist() == [-np.inf, -np.inf, 0.5]


def test_a_closed_service_never_shows(published: Path) -> None:
    generation = load(published)
    held = b"".join([*generation.names_padded, *generation.paths_padded, *generation.phrases_padded]).decode()
    assert "닫힌" not in held
    assert "아무도 못 보는 문장" not in held
    assert "HIDDEN" not in generation.surfaces
    closed = embed(["닫힌 메뉴", "아무도 못 보는 문장"])
    assert (generation.matrix @ (closed / np.linalg.norm(closed, axis=1, keepdims=True)).T).max() < 0.999


def test_a_catalog_whose_services_are_all_closed_serves_nothing_instead_of_failing(tmp_path: Path) -> None:
    number = publish([service(1, "점검 중", open=False)], tmp_path, ENCODER, embed)
    generation = load(folder_of(tmp_path, number))
    assert generation.matrix.shape == (0, DIMENSION)
    assert generation.ids_padded.tolist() == [-1]


def test_vectors_of_another_encoder_do_not_serve(published: Path) -> None:
    with pytest.raises(GenerationError, match=r"made by encoder 555555555555, the one that serves is 777777777777: "):
        load(published, "7" * 64)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(GenerationError, match=rf"{name} is missing"):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(GenerationError, match=rf"{name} cannot be read: "):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(GenerationError, match=name):
        load(folder)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_file_with_one_bit_turned_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(GenerationError, match=rf"{name}: its checksum is not the manifest's"):
        load(folder)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_generation_of_another_format_is_not_misread_and_says_what_to_do(folder: Path, number: int) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": number}))
    with pytest.raises(GenerationError, match=f"format {number}, this reads 3: publish the catalog again"):
        load(folder)


@pytest.mark.parametrize("change", [{"/dev/zero": "0" * 64}, {"../../CURRENT": "0" * 64}, {"services.jsonl": None}])
def test_a_manifest_cannot_make_the_scorer_read_other_files_nor_trust_one_unread(
    folder: Path, change: dict[str, Any]
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {name: sum for name, sum in {**manifest["files"], **change}.items() if sum}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    with pytest.raises(GenerationError, match=r"its manifest must list vectors\.safetensors, services\.jsonl, lexical"):
        load(folder)


def test_lexical_matches_are_of_open_services_alone_and_can_be_left_out(published: Path) -> None:
    lexical = load(published).lexical
    assert lexical
    assert lexical.matches("송금").rows.tolist() == [6]
    assert lexical.matches("보내기").rows.tolist() == [8]
    assert lexical.matches("송금").scores.tolist() == [1.0]
    assert lexical.matches("닫힌 메뉴").scores.max() < 0.5
    assert load(published, with_lexical=False).lexical is None


def test_an_answer_never_names_a_generation_that_it_is_not_from(folder: Path) -> None:
    copied = Path(shutil.copytree(folder, folder.with_name("000002")))
    with pytest.raises(GenerationError, match="000002: its manifest says generation 1"):
        load(copied)


@pytest.mark.parametrize("number", [np.nan, np.inf, 0.0, 2.0])
def test_a_vector_that_is_no_direction_does_not_serve(folder: Path, number: float) -> None:
    vectors = load_file(folder / "vectors.safetensors")["vectors"]
    vectors[4] = number
    tensors(folder, vectors=vectors)
    with pytest.raises(GenerationError, match=r"vectors\.safetensors: row 4 is not a unit vector"):
        load(folder)


def test_phrases_are_not_answered_with_another_service_s_vectors(folder: Path) -> None:
    mismatch = r"vectors\.safetensors and services\.jsonl do not belong together"
    lines(folder, lambda services: services[0]["phrases"].append("한 문장 더"))
    with pytest.raises(GenerationError, match=mismatch):
        load(folder)
    lines(folder, lambda services: (services[0]["phrases"].pop(), services.pop(1)))
    with pytest.raises(GenerationError, match=mismatch):
        load(folder)


def test_a_closed_service_between_open_ones_does_not_shift_their_vectors(folder: Path) -> None:
    lines(folder, lambda services: services[0].update(open=False))
    with pytest.raises(GenerationError, match="do not belong together"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("service", "float32", None),
        ("vectors", "float64", None),
        ("vectors", "float16", None),
        ("vectors", "float32", (-1,)),
        ("service", "int32", (1, -1)),
    ],
)
def test_arrays_of_another_kind_do_not_serve(
    folder: Path, name: str, dtype: str, shape: tuple[int, ...] | None
) -> None:
    array = load_file(folder / "vectors.safetensors")[name].astype(dtype)
    tensors(folder, **{name: array.reshape(shape) if shape else array})
    with pytest.raises(GenerationError, match="000001"):
        load(folder)


def test_nothing_serves_before_the_first_publish(tmp_path: Path) -> None:
    assert current(tmp_path) is None


@pytest.mark.parametrize("content", ["", "one", "-1", "²", "1 2", "9" * 5000])
def test_a_damaged_current_is_shown_with_what_it_should_hold(tmp_path: Path, content: str) -> None:
    (tmp_path / "CURRENT").write_text(content)
    with pytest.raises(GenerationError, match=r"CURRENT holds '.{0,40}': it must be a generation's number"):
        current(tmp_path)
