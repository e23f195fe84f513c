"""A settings file counts for the encoder that it was calibrated for, is named by the report, and else is refused."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from malgil_core.encoder import EncoderMetadata
from malgil_core.lexical.index import Weights

from export.__main__ import main as export
from tests.training.evaluation.conftest import LABELLED, SERVICES
from tests.training.evaluation.test_evaluate import arguments
from training.cli import main
from training.evaluation.encoder import Encoder

NOT_LEXICAL = {field.name: 0.0 for field in fields(Weights)}


def write(file: Path, source_fingerprint: str, **changes: Any) -> Path:
    """A settings file of the encoder that was exported from a directory with this fingerprint."""
    content = {
        "version": 1,
        "encoder": {"name": "small", "fingerprint": "5" * 64, "source_fingerprint": source_fingerprint},
        "created": "2026-11-29T00:00:00Z",
        "weights": asdict(Weights()),
        "default_threshold": None,
        "thresholds": [],
        "null": {"loss": 0.03, "margin": 2, "floor": -1},
        "figures": {},
    }
    file.write_text(json.dumps(content | changes), encoding="utf-8")
    return file


def evaluated(out: Path, folders: dict[str, Path], settings: Path) -> tuple[dict[Any, Any], Any, str]:
    """Figures by part, kind, method and encoder; what is said of the encoders; the page."""
    files = ["--json", str(out / "report.json"), "--page", str(out / "report.md"), "--parts", "queries,scope"]
    words = [*map(str, folders.values()), *arguments(out, SERVICES, LABELLED), *files, "--settings", str(settings)]
    assert main(["evaluate", *words]) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    found = {(one["part"], one["kind"], one["method"], one["encoder"]): one["figures"] for one in report["rows"]}
    return found, report["encoders"], (out / "report.md").read_text(encoding="utf-8")


def test_an_encoder_is_evaluated_with_the_weights_and_limits_of_its_own_settings_alone(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    fingerprint = Encoder(folders["blind"], "blind").fingerprint
    settings = write(tmp_path / "blind.json", fingerprint, weights=NOT_LEXICAL)
    found, encoders, page = evaluated(tmp_path, folders, settings)
    blind, sees = (
        [found["queries", "all", method, name] for method in ("dense", "dense and lexical")]
        for name in ("blind", "sees")
    )
    assert blind[0] == blind[1]  # with the weights that are shipped lexical matches find what the blind one cannot
    assert found["scope", "out of scope", "dense and lexical", "blind"]["margin"] == 2
    assert found["scope", "out of scope", "dense and lexical", "blind"]["refused"] == 0
    assert found["scope", "out of scope", "dense and lexical", "sees"]["refused"] >= 0.75
    assert sees[1]["recall@5"] > blind[1]["recall@5"]
    about = {one["name"]: one["settings"] for one in encoders}
    assert about["sees"] is None
    assert about["blind"]["weights"] == NOT_LEXICAL
    assert re.search(r"^- blind: blind\.json of 2026-11-29.*first_prefix 0, ", page, re.MULTILINE)
    assert re.search(r"^- sees: without a settings file", page, re.MULTILINE)


def test_a_calibrated_threshold_leaves_weak_answers_empty_where_refusals_are_counted(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    fingerprint = Encoder(folders["sees"], "sees").fingerprint
    settings = write(tmp_path / "settings.json", fingerprint, default_threshold=1.0)
    found, _, page = evaluated(tmp_path, {"sees": folders["sees"]}, settings)
    inside = found["scope", "in scope", "dense and lexical", "sees"]
    assert found["scope", "out of scope", "dense and lexical", "sees"]["refused"] == 1
    assert inside["recall@5"] == found["queries", "all", "dense and lexical", "sees"]["recall@5"] > 0.5
    assert inside["recall@5 with refusals"] < 0.5
    assert "default threshold 1.0000" in page


@pytest.mark.parametrize(
    ("source_fingerprint", "sentence"),
    [
        ("7" * 64, r"settings\.json: encoder\.source_fingerprint is 777777777777…, that of none of .*\(sees \w{12}…\)"),
        ("", r"settings\.json: encoder\.source_fingerprint is empty"),
        ("x", r"settings\.json: encoder\.source_fingerprint is \"x\": String should match"),
    ],
)
def test_settings_of_another_encoder_are_refused_before_anything_is_measured(
    tmp_path: Path,
    folders: dict[str, Path],
    source_fingerprint: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = write(tmp_path / "settings.json", source_fingerprint)
    page = tmp_path / "report.md"
    assert main(["evaluate", str(folders["sees"]), "--settings", str(settings), "--page", str(page)]) == 1
    assert re.search(sentence, capsys.readouterr().err)
    assert not page.exists()


def test_two_settings_files_of_one_encoder_are_refused(
    tmp_path: Path, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint = Encoder(folders["sees"], "sees").fingerprint
    files = [write(tmp_path / f"{name}.json", fingerprint) for name in ("one", "two")]
    words = [word for file in files for word in ("--settings", str(file))]
    assert main(["evaluate", str(folders["sees"]), *words]) == 1
    assert "two.json: " in (said := capsys.readouterr().err)
    assert "one.json is of the encoder sees, too" in said


@pytest.mark.slow
def test_export_calibrate_and_evaluate_agree_on_the_encoder(
    tmp_path: Path, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "repository"
    for name in ("encoder", "tokenizer"):
        (repository / name / "1").mkdir(parents=True)
    words = ["encoder", str(folders["sees"]), "--repository", str(repository)]
    assert export([*words, "--precision", "fp32", "--vocabulary", "all", "--no-compare"]) == 0
    fingerprint = Encoder(folders["sees"], "sees").fingerprint
    assert EncoderMetadata.of(repository).source_fingerprint == fingerprint
    settings = tmp_path / "settings.json"
    catalog, queries = (arguments(tmp_path, SERVICES, LABELLED)[place] for place in (1, 3))
    written = ["--write", str(settings), "--repository", str(repository), "--steps", "2"]
    assert export(["catalog", "calibrate", catalog, "--queries", queries, *written]) == 0
    _, encoders, _ = evaluated(tmp_path, {"sees": folders["sees"]}, settings)
    assert encoders[0]["settings"]["file"] == "settings.json"
    assert export([*words, "--precision", "fp32", "--query-prompt", "다른 ", "--no-compare"]) == 0
    assert EncoderMetadata.of(repository).source_fingerprint == ""  # no directory has these vectors
