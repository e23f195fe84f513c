"""The commands of `python -m export`: what they refuse, what they leave alone, and publishing through a live server."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import malgil
import pytest

from export import ROOT
from export.__main__ import cli, main
from server.launcher import Server

LINE = {
    "id": 1, "parent_id": None, "service_id": "transfer", "name": "송금", "path": "송금", "open": True,
    "phrases": ["돈 보내기"], "memo": "", "surfaces": ["SEARCH"], "threshold": None,
}  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "export", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.jsonl"
    path.write_text(json.dumps(LINE, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def test_a_mistake_in_a_catalog_is_named_with_file_and_line_and_nothing_is_published(tmp_path: Path) -> None:
    path = tmp_path / "catalog.jsonl"
    path.write_text("\n".join(json.dumps({**LINE, **change}) for change in ({}, {"threshold": 2, "id": 2})))
    ended = run("catalog", "publish", str(path), "--offline", "--index", str(tmp_path / "index"))
    assert ended.returncode == 1
    assert f"{path}:2: threshold is 2: it must be from -1 to 1, or null" in ended.stderr
    assert not (tmp_path / "index").exists()
    assert run("catalog", "check", str(path)).returncode == 1


def test_publishing_without_an_encoder_says_what_to_run(catalog: Path, tmp_path: Path) -> None:
    ended = run("catalog", "publish", str(catalog), "--offline", "--repository", str(tmp_path))
    assert ended.returncode == 1
    assert "run `python -m export encoder` first" in ended.stderr


def test_publishing_without_a_server_says_how_to_go_on(catalog: Path, tmp_path: Path) -> None:
    ended = run("catalog", "publish", str(catalog), "--url", "127.0.0.1:1", "--index", str(tmp_path / "index"))
    assert ended.returncode == 1
    assert "publish with --offline" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "index" / "CURRENT").exists()


def test_a_publish_through_the_running_server_serves_within_seconds_and_a_second_one_takes_it_back(
    server: Server, repository: Path, index: Path, catalog: Path
) -> None:
    options = ["--url", server.grpc_url, "--index", str(index), "--repository", str(repository)]
    with malgil.SearchClient(server.grpc_url) as client:
        before = client.search("돈 보내기")
        null = ["--null-topics", str(ROOT / "catalogs/null_topics.jsonl")]
        for words, first in (([str(catalog)], 1), ([str(ROOT / "catalogs/finance.jsonl"), *null], before[0].id)):
            ended = run("catalog", "publish", *words, *options)
            assert ended.returncode == 0, ended.stderr
            number = int((index / "CURRENT").read_text())
            deadline = time.monotonic() + 5
            while client.generation() != number:
                assert time.monotonic() < deadline, "the new generation does not serve"
                time.sleep(0.05)
            assert client.search("돈 보내기")[0].id == first
        after = client.search("돈 보내기")
    assert [hit.id for hit in after] == [hit.id for hit in before]
    assert after.generation == before.generation + 2


def test_vectors_of_an_encoder_that_is_not_the_exported_one_are_never_published(
    server: Server, repository: Path, catalog: Path, tmp_path: Path
) -> None:
    other = tmp_path / "model_repository"
    shutil.copytree(repository / "tokenizer", other / "tokenizer")
    (other / "encoder/1").mkdir(parents=True)
    (other / "encoder/1/model.onnx").hardlink_to(repository / "encoder/1/model.onnx")
    metadata = other / "tokenizer/1/encoder.json"
    metadata.write_text(metadata.read_text().replace('"query: "', '"질문 아닌 다른 말: "'))
    ended = run(
        "catalog", "publish", str(catalog), "--url", server.grpc_url,
        "--index", str(tmp_path / "index"), "--repository", str(other),
    )  # fmt: skip
    assert ended.returncode == 1
    assert "embeds with another encoder" in ended.stderr
    assert not (tmp_path / "index/CURRENT").exists()


@pytest.mark.slow
def test_an_encoder_that_is_not_there_is_one_sentence_and_the_old_one_stays(tmp_path: Path) -> None:
    model = tmp_path / "encoder/1/model.onnx"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"old")
    (tmp_path / "nothing").mkdir()
    ended = run("encoder", str(tmp_path / "nothing"), "--repository", str(tmp_path))
    assert ended.returncode == 1
    assert "was not exported: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert model.read_bytes() == b"old"
    assert [path.name for path in model.parent.iterdir()] == ["model.onnx"]


def walk(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group from this one down, with the words that call it."""
    yield words, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walk(command, *words, name)
        else:
            yield (*words, name), command


COMMANDS = dict(walk(cli))
EXAMPLES = [
    pytest.param(words, example, id=example)
    for words, command in COMMANDS.items()
    for example in re.findall(r"^  python -m export (.*?)(?: {4}.*| > .*)?$", command.epilog or "", re.MULTILINE)
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_explains_every_command_argument_and_option(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[words]
    assert main([*words, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: {' '.join(('python -m export', *words))} ")
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
        else:
            assert str(parameter.name).upper() in command.help


def test_help_has_examples() -> None:
    assert len(EXAMPLES) >= 14
    assert {words for words, command in COMMANDS.items() if not command.epilog} == {
        ("catalog",), ("catalog", "list"), ("catalog", "verify")
    }  # fmt: skip


@pytest.mark.parametrize(("words", "example"), EXAMPLES)
def test_an_example_of_the_help_is_right_usage(words: tuple[str, ...], example: str) -> None:
    called = next(w for w in sorted(COMMANDS, key=len, reverse=True) if tuple(example.split()[: len(w)]) == w)
    of_suggest = words[:1] == called[:1] == ("suggest",)  # whose first command's name can be left out
    assert words in ((), ("catalog", "calibrate"), called) or of_suggest
    with contextlib.suppress(click.exceptions.Exit):  # an example that ends in --help
        COMMANDS[called].make_context("example", example.split()[len(called) :])


@pytest.mark.parametrize(
    "words",
    [
        [], ["catalog"], ["publish"], ["encoder", "--precision", "int4"], ["catalog", "publish"],
        ["catalog", "publish", "x", "--default-threshold", "1.01"], ["catalog", "publish", "x", "--keep", "0"],
        ["catalog", "publish", "x", "--default-threshold", "nan"], ["catalog", "calibrate", "x"],
        ["catalog", "calibrate", "x", "--queries", "y", "--cost", "-0.1"],
        ["catalog", "diff"], ["catalog", "show", "first"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_told_from_a_refusal_by_its_exit_status(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Usage: python -m export")
    assert not captured.out


def test_a_file_that_cannot_be_read_is_named_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "check", str(tmp_path / "absent.jsonl")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'absent.jsonl'}: No such file or directory\n"
    assert main(["catalog", "check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}: Is a directory\n"
