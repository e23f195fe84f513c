"""`python -m training evaluate` from its command line to its files: the better encoder wins, gaps are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from malgil_core.catalog.service import Service

from export.catalog.labelled import Labelled
from tests.training.evaluation.conftest import LABELLED, NULL_PHRASES, SERVICES
from training.cli import main
from training.evaluation.report import SCHEMA

Ran = tuple[dict[str, Any], Path, str]


def arguments(folder: Path, services: list[Service], labelled: list[Labelled]) -> list[str]:
    """The options that name a catalog, queries and null phrases."""
    lines = {
        "--catalog": [service.as_dict() for service in services],
        "--queries": [{"query": one.query, "id": one.id, "kind": one.kind} for one in labelled],
        "--null-topics": [{"null": True, "name": "날씨", "phrases": NULL_PHRASES}],
    }
    words = []
    for option, content in lines.items():
        file = folder / f"{option.strip('-')}.jsonl"
        file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in content), encoding="utf-8")
        words += [option, str(file)]
    return words


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], data: Path) -> Ran:
    """The report, the folder of what was written, and what was printed, of the blind encoder and the other."""
    import contextlib
    import io

    out = tmp_path_factory.mktemp("out")
    files = ["--json", str(out / "report.json"), "--page", str(out / "report.md"), "--plots", str(out / "plots")]
    words = [*map(str, folders.values()), "--data", str(data), *arguments(out, SERVICES, LABELLED), *files]
    from export.console import CONSOLE

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        CONSOLE.file, before = printed, CONSOLE.file
        try:
            assert main(["evaluate", *words]) == 0
        finally:
            CONSOLE.file = before
    return json.loads((out / "report.json").read_text(encoding="utf-8")), out, printed.getvalue()


def figures(report: dict[str, Any], part: str, kind: str, method: str, encoder: str | None) -> dict[str, Any]:
    """One row."""
    (row,) = [
        row for row in report["rows"]
        if (row["part"], row["kind"], row["method"], row["encoder"]) == (part, kind, method, encoder)
    ]  # fmt: skip
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize(
    ("part", "kind", "metric"),
    [("queries", "all", "recall@1"), ("queries", "keyword", "mrr@10"), ("passages", "KorQuAD", "top-5")],
)
def test_the_better_encoder_wins_beyond_chance(ran: Ran, part: str, kind: str, metric: str) -> None:
    blind, sees = (figures(ran[0], part, kind, "dense", name) for name in ("blind", "sees"))
    assert sees["figures"][metric] > blind["figures"][metric]
    against = sees["against_first"][metric]
    assert against["difference"] == pytest.approx(sees["figures"][metric] - blind["figures"][metric])
    assert against["low"] > 0
    assert against["p"] < 0.01
    assert blind["against_first"] == {}


def test_the_encoder_that_sees_ranks_korsts_as_people_do(ran: Ran) -> None:
    assert figures(ran[0], "korsts", "test", "dense", "sees")["figures"]["spearman"] > 80


def test_out_of_scope_queries_are_refused_by_null_phrases_and_in_scope_ones_kept(ran: Ran) -> None:
    outside, inside = (
        figures(ran[0], "scope", kind, "dense and lexical", "sees") for kind in ("out of scope", "in scope")
    )
    assert outside["figures"]["refused"] >= 0.75
    assert outside["figures"]["area under ROC"] > 0.9
    assert inside["figures"]["recall@5 with refusals"] >= inside["figures"]["recall@5"] - 0.1  # one of 13


def test_the_json_is_what_its_schema_promises(ran: Ran) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(ran[0], schema)
    assert [about["name"] for about in ran[0]["encoders"]] == ["blind", "sees"]
    assert {row["part"] for row in ran[0]["rows"]} == {"korsts", "queries", "scope", "passages"}


def test_the_tables_of_terminal_and_page_show_the_figures_of_the_json(ran: Ran) -> None:
    report, out, printed = ran
    page = (out / "report.md").read_text(encoding="utf-8")
    dense = figures(report, "passages", "KorQuAD", "dense", "sees")["figures"]
    cells = " | ".join(f"{dense[f'top-{depth}']:.3f}" for depth in (1, 5, 20, 100))
    assert f"| dense | sees | {cells} |" in page.replace("\\*", "")
    assert "python -m training" in page
    for method in ("BM25", "BM25 + dense"):
        assert method in printed
        assert f"| {method} |" in page


def test_every_plot_is_drawn_or_its_absence_explained(ran: Ran) -> None:
    _, out, printed = ran
    assert {file.name for file in (out / "plots").iterdir()} == {"cosines.png", "phrases.png"}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in (out / "plots").iterdir())
    assert "curve.png skipped" in printed


def test_a_data_set_that_is_not_there_is_skipped_by_name(
    tmp_path: Path, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folders["sees"]), "--data", str(tmp_path), "--json", str(tmp_path / "report.json")]
    assert main(["evaluate", *words, "--parts", "korsts,passages"]) == 0
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    expected = [
        f"KorSTS skipped: {tmp_path}/korsts/sts-test.tsv is not there",
        f"KorQuAD skipped: {tmp_path}/korquad/KorQuAD_v1.0_dev.json is not there",
    ]
    assert report["skipped"] == expected
    assert report["rows"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent"], "absent is not a folder"),
        (["bundled", "--parts", "korsts,speed"], "'speed' is not among"),
        (["bundled", "--json", "absent/report.json"], "absent is not a folder"),
        (["bundled", "--questions", "0"], "0 is not in the range"),
        ([], "Missing argument"),
    ],
)
def test_a_mistake_is_named_before_an_encoder_is_loaded(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *words]) in (1, 2)
    assert sentence in capsys.readouterr().err
