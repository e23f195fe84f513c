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
from generation import Generation, GenerationError, current, folder_of, load
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import VERSION
from safetensors.numpy import load_file, save_file

from export.generations import publish
from tests.index import CATALOG, DIMENSION, ENCODER, embed, service

FILES = ("manifest.json", "services.jsonl", "vectors.safetensors", "lexical.safetensors")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generation; not to be written to."""
    index = tmp_path_factory.mktemp("published")
    return folder_of(index, publish(CATALOG, index, ENCODER, embed, default_threshold=0.25))


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
    generation = load(published, ENCODER["fingerprint"])
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


def test_a_catalogue_whose_services_are_all_closed_serves_nothing_instead_of_failing(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("number", [1, 3])
def test_a_generation_of_another_format_is_not_misread_and_says_what_to_do(folder: Path, number: int) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": number}))
    with pytest.raises(GenerationError, match=f"format {number}, this reads 2: publish the catalogue again"):
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


def test_letters_find_open_services_alone_and_only_if_they_are_wanted(published: Path) -> None:
    lexical = load(published).lexical
    assert lexical
    assert lexical.evidence("송금").rows.tolist() == [6]
    assert lexical.evidence("보내기").rows.tolist() == [8]
    assert lexical.evidence("송금").shares.tolist() == [1.0]
    assert lexical.evidence("닫힌 메뉴").shares.max() < 0.5
    assert load(published, with_lexical=False).lexical is None


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
    folder: Path, name: str, change: Callable[[Any], Any], complaint: str
) -> None:
    file = folder / "lexical.safetensors"
    arrays = load_file(file)
    changed = np.ascontiguousarray(change(arrays.get(name)))
    save_file({**arrays, name: changed}, file, metadata={"letters": VERSION})
    seal(folder)
    with pytest.raises(GenerationError, match=rf"000001: lexical\.safetensors: {complaint}"):
        load(folder)
    assert load(folder, with_lexical=False).number == 1


def test_letters_made_in_another_way_do_not_serve(folder: Path) -> None:
    file = folder / "lexical.safetensors"
    save_file(load_file(file), file, metadata={"letters": "0"})
    seal(folder)
    with pytest.raises(GenerationError, match=r"version '0' of the letters, this reads '1': publish again"):
        load(folder)


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


@pytest.fixture(scope="module")
def contents(published: Path) -> dict[str, bytes]:
    return {name: (published / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where hypothesis writes one damaged generation over the other."""
    scratch = tmp_path_factory.mktemp("scratch") / "000001"
    scratch.mkdir()
    return scratch


def loaded(scratch: Path, contents: dict[str, bytes], sealed: bool) -> Generation | GenerationError:
    """What loading these files gives; anything but a GenerationError is raised."""
    for name, content in contents.items():
        (scratch / name).write_bytes(content)
    if sealed:
        seal(scratch)
    try:
        return load(scratch)
    except GenerationError as error:
        return error


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(FILES[1:]), cut=st.booleans(), sealed=st.booleans())
def test_no_damage_to_a_file_ever_stops_the_scorer(
    contents: dict[str, bytes], scratch: Path, data: st.DataObject, name: str, cut: bool, sealed: bool
) -> None:
    damaged = bytearray(contents[name])
    at = data.draw(st.integers(0, len(damaged) - 1))
    if cut:
        del damaged[at:]
    else:
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    result = loaded(scratch, {**contents, name: bytes(damaged)}, sealed)
    assert sealed or name in str(result)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(width=32)
    | st.text(max_size=5)
    | st.sampled_from([10**400, "\0", "."]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), value=JSON)
def test_no_manifest_ever_stops_the_scorer(
    contents: dict[str, bytes], scratch: Path, data: st.DataObject, value: Any
) -> None:
    manifest = json.loads(contents["manifest.json"])
    key = data.draw(st.sampled_from([*manifest, "whole"]))
    content = json.dumps(value if key == "whole" else {**manifest, key: value}).encode()
    loaded(scratch, {**contents, "manifest.json": content}, sealed=False)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), value=JSON)
def test_no_service_ever_stops_the_scorer(
    contents: dict[str, bytes], scratch: Path, data: st.DataObject, value: Any
) -> None:
    services = [json.loads(line) for line in contents["services.jsonl"].splitlines()]
    key = data.draw(st.sampled_from([*services[0], "whole"]))
    services[0] = value if key == "whole" else {**services[0], key: value}
    content = "\n".join(map(json.dumps, services)).encode()
    loaded(scratch, {**contents, "services.jsonl": content}, sealed=True)


def test_nothing_serves_before_the_first_publish(tmp_path: Path) -> None:
    assert current(tmp_path) is None


@pytest.mark.parametrize("content", ["", "one", "-1", "²", "1 2", "9" * 5000])
def test_a_damaged_current_is_shown_with_what_it_should_hold(tmp_path: Path, content: str) -> None:
    (tmp_path / "CURRENT").write_text(content)
    with pytest.raises(GenerationError, match=r"CURRENT holds '.{0,40}': it must be a generation's number"):
        current(tmp_path)
