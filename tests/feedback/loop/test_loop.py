"""The loop, once around: a live server, people who search and choose, pairs, a training, a variant that serves."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import malgil
import pytest
import torch
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader

from export import ROOT
from export.__main__ import cli as exporting
from export.__main__ import main as export
from feedback.cli import cli, main
from feedback.loop import variant
from server.__main__ import main as serving
from server.launcher import Server
from server.ports import free_ports
from tests.encoders import save_sentence_transformer
from tests.feedback.logs import Log
from tests.training.conftest import WORDS, sentences

pytestmark = [pytest.mark.live, pytest.mark.slow]
SERVICES, QUERIES, PEOPLE = 16, 6, 3
TRAIN = "--steps 8 --batch-size 8 --lora 2 --max-length 16 --device cpu"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A small encoder is faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A deployment: a model repository with a tiny encoder, and an index beside it."""
    repository = tmp_path / "model_repository"
    variant.copy(ROOT / "model_repository", repository)
    base = save_sentence_transformer(tmp_path / "base", prompts={"query": "query: "})
    assert export(["encoder", str(base), "--repository", str(repository)]) == 0
    made = sentences(1)
    with (tmp_path / "catalog.jsonl").open("w", encoding="utf-8") as stream:
        for i in range(SERVICES):
            phrases = [f"{WORDS[i]} {next(made)}" for _ in range(3)]
            service = {"id": i, "service_id": f"s{i}", "name": f"{WORDS[i]} {i}", "path": f"{i}", "phrases": phrases}
            stream.write(json.dumps({**service, "open": True}, ensure_ascii=False) + "\n")
    words = ["--offline", "--index", str(tmp_path / "index"), "--repository", str(repository)]
    assert export(["catalog", "publish", str(tmp_path / "catalog.jsonl"), *words]) == 0
    return tmp_path


def live(root: Path, repository: Path, log: str) -> Iterator[Server]:
    """A server with a log of events."""
    environment = {"MALGIL_EVENTS": str(root / "events"), "MALGIL_LOG_QUERIES": "1"}
    with (
        (root / log).open("wb") as stream,
        Server(repository, free_ports(), log=stream, environment=environment) as running,
    ):
        running.wait_ready()
        yield running


def search(root: Path, queries: list[tuple[str, int]]) -> int:
    """Have people search for each query, and choose its service if they see it; how many choices were made."""
    chosen = 0
    feedback = malgil.Feedback(person_key=bytes(32), log_queries=True, timeout=60, close_timeout=60)
    for server in live(root, root / "model_repository", "triton.log"):
        with malgil.SearchClient(server.grpc_url, timeout=30, feedback=feedback) as client:
            for query, id in queries:
                for person in range(PEOPLE):
                    result = client.search(query, person=f"person {person}", top_k=8)
                    hit = next((hit for hit in result if hit.id == id), None)
                    result.chose(hit) if hit else result.abandoned()
                    chosen += hit is not None
            assert client.feedback.flush(120)
            assert (client.feedback.counts.dropped, client.feedback.counts.refused) == (0, 0)
    return chosen


def parse(line: str) -> None:
    """Parse a command line of experiment.json, without running it."""
    _, _, module, *words = shlex.split(line)
    command: click.Command = {"feedback": cli, "export": exporting, "server": serving}[module]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context("command", words)


def check_commands(described: dict[str, Any]) -> None:
    """Check that what a person shall run can be run."""
    for line in (described["serve"], described["compare"], described["power"], *described["keep"]):
        parse(line)
    known = {"malgil": malgil, "SearchClient": malgil.SearchClient, "feedback": None, "key": bytes(32)}
    experiment = eval(described["app"], known)
    assert experiment.shares["b"] == pytest.approx(0.2)


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip


def test_what_people_choose_becomes_an_encoder_that_serves_as_a_variant_and_nothing_is_published(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sentences(5)
    asked = [(f"{WORDS[i]} {next(made)}", i) for i in range(SERVICES) for _ in range(QUERIES)]
    assert search(root, asked) > SERVICES * QUERIES
    serving = {name: content(root / name) for name in ("model_repository", "index")}
    where = [word for name in ("events", "index") for word in (f"--{name}", str(root / name))]
    words = ["loop", *where, "--repository", str(root / "model_repository"), "--folder", str(root / "loop")]
    words += ["--recipe", "none", "--train", TRAIN, "--pairs", f"--people {PEOPLE} --skips 1", "--least-pairs", "10"]
    words += ["--even-if-worse", "--name", "first", "--share", "0.2"]

    assert main([*words, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "pairs: would be run" in printed
    assert "training: would be run after that" in printed
    assert not (root / "loop").exists()

    assert main([*words, "--run"]) == 0
    printed = capsys.readouterr().out
    for name in ("pairs", "training", "evaluation", "generation", "experiment"):
        assert f"{name}: done in" in printed
    assert "nothing was published" in printed
    assert {name: content(root / name) for name in serving} == serving
    (file,) = (root / "loop").glob("experiment-*/experiment.json")
    described = json.loads(file.read_text(encoding="utf-8"))
    assert described["share"] == {"b": 0.2}
    assert described["arms"]["a"]["encoder"] == EncoderMetadata.of(root / "model_repository").fingerprint
    other = Path(described["arms"]["b"]["repository"])
    assert described["arms"]["b"]["encoder"] == EncoderMetadata.of(other).fingerprint
    assert described["arms"]["b"]["encoder"] != described["arms"]["a"]["encoder"]
    assert described["serve"].startswith(f"python -m server --repository {other} ")
    check_commands(described)
    (pairs,) = (root / "loop").glob("pairs-*/step.json")
    figures = json.loads(pairs.read_text(encoding="utf-8"))["figures"]
    assert figures["pairs"] >= 10
    assert figures["held_out"] >= 1

    for server in live(root, other, "variant.log"):
        with malgil.SearchClient(server.grpc_url, timeout=30) as client:
            assert client.search(asked[0][0]).generation == reader.current(other.parent / "index")

    assert main([*words, "--run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("there already") == 5
    assert "done in" not in printed
    assert main([*words, "--dry-run", "--share", "0.5"]) == 0  # of the last step alone
    printed = capsys.readouterr().out
    assert printed.count("there already") == 4
    assert "experiment: would be run" in printed
    assert main([*words, "--dry-run", "--least-pairs", "1000"]) == 1
    assert "at least 1000 are trained on (--least-pairs)" in capsys.readouterr().err
    more = Log()
    more.session(asked[0][0], chosen=asked[0][1], hits=[asked[0][1]])
    more.write(root / "events")
    assert main([*words, "--dry-run"]) == 0
    assert "pairs: would be run" in capsys.readouterr().out


def test_the_loop_runs_only_when_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loop", "--run", "--events", str(tmp_path / "nowhere")]) == 1
    assert "is not there" in capsys.readouterr().err
    assert main(["loop", "--events", str(tmp_path)]) == 2
    assert main(["loop", "--run", "--dry-run", "--events", str(tmp_path)]) == 2
