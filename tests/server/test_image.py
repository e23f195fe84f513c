"""server/Dockerfile, as far as it can be run without Docker: the images' folders are laid out, filled and served."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import malgil
import psutil
import pytest
import tomllib
from malgil_core.encoder import EncoderMetadata
from malgil_core.events.reading import read
from malgil_core.events.types import Search
from malgil_core.index import history
from tritonclient import grpc

from console.jobs import FILE as JOB
from export import ROOT
from export.encoder.choice import GPU
from server.ports import Ports, free_ports
from server.triton import DROP_IN
from tests.encoders import save_sentence_transformer
from tests.events import search
from tests.image import STAGES, Stage
from tests.live import infer, texts

TOOLS = str(Path(sys.executable).parent)  # `python`, `python3` and `malgil` of the images


def environment(stage: Stage, **more: str) -> dict[str, str]:
    """Of a process in the image: what the image sets, and nothing of this checkout's."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    path = f"{TOOLS}:{os.environ['PATH']}"
    return {**kept, **stage.environment, "PYTHONPATH": str(ROOT / "client"), "PATH": path, **more}


def read_only(root: Path, *but: str) -> dict[Path, int]:
    """Take the right to write away, save in the places that are mounted; the files with their times of change.

    Root may write all the same, hence the times. Python tries to keep bytecode, and does without.
    """
    paths = [root, *(path for path in root.rglob("*") if not path.is_symlink() and path.name != "__pycache__")]
    paths = [path for path in paths if not {*path.relative_to(root).parts[:1]} & {*but}]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """exported/ and index/ as the export container fills them, from a directory with a small encoder."""
    root = STAGES["export"].lay_out(tmp_path_factory.mktemp("export"))
    for name in ("exported", "index", "models", "data"):
        (root / name).mkdir()
    save_sentence_transformer(root / "data" / "small")
    before = read_only(root, "exported", "index", "models", "data")
    fill(root)
    assert read_only(root, "exported", "index", "models", "data") == before  # nothing but the volumes was written to
    return root


def fill(root: Path, **asked: str) -> str:
    """Run what the container `export` runs."""
    done = subprocess.run(
        ["sh", "export/fill.sh"], cwd=root, capture_output=True, text=True, check=False,
        env=environment(STAGES["export"], MALGIL_ENCODER="data/small", HOME=str(root / "models"), **asked),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def image(volumes: Path, tmp_path: Path) -> Iterator[Path]:
    """The image that serves, with the volumes at their places."""
    root = tmp_path / "malgil"
    root.mkdir()
    STAGES["serve"].lay_out(root)
    for name in ("exported", "index"):
        (root / name).symlink_to(volumes / name)
    (root / "events").mkdir()
    # The image has a Triton with an ONNX Runtime backend. Here pip's takes its place, which needs this one.
    (root / "server" / "backends").mkdir()
    (root / "server" / "backends" / DROP_IN.name).symlink_to(DROP_IN)
    yield root
    for path in (root, *root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.mark.live
@pytest.mark.slow
def test_the_image_starts_answers_passes_its_health_check_writes_nothing_and_stops_on_sigterm(
    image: Path, tmp_path: Path
) -> None:
    serve = STAGES["serve"]
    before = read_only(image, "exported", "index", "events")
    ports = free_ports()
    mapped = [f"--{name}-port={getattr(ports, name)}" for name in ("http", "grpc", "metrics")]
    env = environment(serve, MALGIL_URL=f"127.0.0.1:{ports.grpc}")
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [*serve.command("ENTRYPOINT"), *mapped],
            cwd=image,
            env=env,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert running.stdout
            ready = running.stdout.readline()
            assert re.match(r"ready in .*, serving generation 1$", ready), (tmp_path / "log").read_text()[-3000:]
            with malgil.SearchClient(env["MALGIL_URL"]) as client:
                assert client.search("송금", top_k=1)[0].name == "송금"
            with grpc.InferenceServerClient(env["MALGIL_URL"]) as events:
                assert infer(events, "events", event=texts([search(query="송금").as_json()]))["accepted"].item() == 1
            subprocess.run(serve.command("HEALTHCHECK"), env=env, check=True, timeout=10)
            children = psutil.Process(running.pid).children(recursive=True)
            running.send_signal(signal.SIGTERM)
            assert running.wait(35) == 0  # docker-compose.yml's stop_grace_period
        finally:
            running.kill()
            running.communicate()  # which closes its stdout, too
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert subprocess.run(serve.command("HEALTHCHECK"), env=env, check=False, stderr=subprocess.DEVNULL).returncode == 1
    assert read_only(image, "exported", "index", "events") == before
    assert [event.query for event in read(image / "events") if isinstance(event, Search)] == [""]


@pytest.mark.slow
def test_filling_again_does_nothing_until_something_is_asked_for_otherwise(volumes: Path) -> None:
    encoder = volumes / "exported" / "encoder" / "1" / "model.onnx"
    made = encoder.stat().st_mtime_ns
    again = fill(volumes)
    index = volumes / "index"
    assert again.splitlines() == ["exported holds the encoder already", f"{index} serves what was published already"]
    small = volumes / "data" / "small.jsonl"
    first, *_ = (ROOT / "catalogs" / "finance.jsonl").read_text(encoding="utf-8").splitlines()
    small.write_text(json.dumps({**json.loads(first), "parent_id": None}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert "generation 2 serves: 1 open of 1 services" in fill(volumes, MALGIL_CATALOG="data/small.jsonl")
    assert encoder.stat().st_mtime_ns == made
    assert "generation 3 serves" in fill(volumes)
    assert encoder.stat().st_mtime_ns == made
    assert "graph in fp32" in fill(volumes, MALGIL_PRECISION="fp32")
    assert encoder.stat().st_mtime_ns > made


@pytest.mark.slow
def test_filling_takes_int8_where_no_gpu_was_given_and_ends_well_only_with_whole_files(volumes: Path) -> None:
    fill(volumes)
    metadata = EncoderMetadata.of(volumes / "exported")
    assert metadata.precision == ("fp32" if GPU.exists() else "int8")
    encoder = volumes / "exported" / "encoder" / "1" / "model.onnx"
    whole = encoder.read_bytes()
    encoder.write_bytes(whole[:-1])  # as a full disk, or a container killed at the wrong moment, leaves it
    current = volumes / "index" / "CURRENT"
    number = int(current.read_text())
    (volumes / "index" / "generations" / f"{number:06d}" / "vectors.safetensors").unlink()
    fill(volumes)
    assert encoder.read_bytes() == whole  # the same weights, to the bit
    assert int(current.read_text()) > number
    made = encoder.stat().st_mtime_ns, current.stat().st_mtime_ns
    fill(volumes)
    assert (encoder.stat().st_mtime_ns, current.stat().st_mtime_ns) == made


@pytest.mark.slow
def test_what_a_console_published_is_not_replaced_by_the_file_when_the_containers_start_again(volumes: Path) -> None:
    fill(volumes)
    index = volumes / "index"
    serves = history.resolve(index, None)
    published = history.catalog(index, serves)
    first, *_ = (ROOT / "catalogs" / "finance.jsonl").read_text(encoding="utf-8").splitlines()
    (volumes / "data" / "file.jsonl").write_text(first, encoding="utf-8")
    (index / JOB).write_text("{}", encoding="utf-8")
    try:
        assert f"{index} serves what was published already" in fill(volumes, MALGIL_CATALOG="data/file.jsonl")
        assert history.resolve(index, None) == serves
        again = fill(volumes, MALGIL_CATALOG="data/file.jsonl", MALGIL_PRECISION="fp32")
        assert f"generation {serves} was made by another encoder" in again
        assert history.catalog(index, history.resolve(index, None)) == published
    finally:
        (index / JOB).unlink()


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_an_image_is_built_from_what_the_repository_has_and_carries_no_export(stage: Stage, tmp_path: Path) -> None:
    assert all(source.exists() for source, _ in stage.copies)
    root = stage.lay_out(tmp_path)
    large = [path for path in root.rglob("*") if path.is_file() and path.stat().st_size > 2**20]
    assert not large
    assert stage.values("USER")[-1] == "1000:1000"  # what it runs as


def test_pins_stand_in_pyproject_alone_and_a_cpu_image_has_no_torch_and_not_pips_numpy() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    serve = STAGES["serve"]
    (default,) = (value.split("=")[1] for value in serve.values("ARG"))
    (install,) = (line for line in serve.values("RUN") if "--group" in line)
    assert "--group ${MODELS}" in install
    assert "==" not in "".join(value for stage in STAGES.values() for value in stage.values("RUN"))
    names = {re.split("[=<>]", line)[0] for line in groups[default]}
    assert names == {
        "click",
        "psutil",
        "pydantic",
        "pymilvus",
        "rapidfuzz",
        "safetensors",
        "threadpoolctl",
        "tokenizers",
        "zstandard",
    }
    assert {"include-group": default} in groups["serve"]
    assert any(str(line).startswith("torch==") for line in groups[f"{default}-gpu"])


def test_the_ports_of_the_image_are_the_servers() -> None:
    (exposed,) = STAGES["serve"].values("EXPOSE")
    assert [int(port) for port in exposed.split()] == [Ports.http, Ports.grpc, Ports.metrics]


def test_triton_is_new_enough_for_its_security_fixes() -> None:
    assert re.search(
        r"^ARG TRITON=(2[6-9]\.(0[7-9]|1\d)|2[7-9]\.\d\d)$", (ROOT / "server/Dockerfile").read_text(), re.M
    )
