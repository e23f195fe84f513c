"""docker-compose.yml: what the Compose specification takes, and what the code and the image expect."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from malgil_core.serving.events import LOG_QUERIES

from console.cli import cli
from export import ROOT
from export.suggest import settings as suggest_settings
from server import launcher
from server.ports import Ports
from tests import commands
from tests.image import STAGES

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
TRITONS = {"triton": "export", "triton-gpu": "export-gpu"}  # each with what fills its volumes
IMAGE_ROOT = "/malgil"  # where the image has the repository
EVENTS = f"{IMAGE_ROOT}/events"


def targets(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A service's mounts by their places in it; the short form is spelled out."""
    found = {}
    for volume in service.get("volumes", ()):
        if isinstance(volume, str):
            source, target, *mode = volume.split(":")
            found[target] = {"type": "bind", "source": source, "target": target, "read_only": mode == ["ro"]}
        else:
            found[volume["target"]] = volume
    return found


def test_compose_takes_the_file() -> None:
    schema = json.loads((files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json").read_bytes())
    jsonschema.validate(COMPOSE, schema, jsonschema.validators.validator_for(schema))


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_docker_compose_takes_each_profile(profile: str) -> None:
    compose = ["docker", "compose", "--file", str(FILE), "--profile", profile]
    try:
        found = subprocess.run([*compose[:2], "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        found = False
    if not found:
        pytest.skip("docker compose is not installed; the schema was checked")
    listed = subprocess.run([*compose, "config", "--services"], check=True, capture_output=True, text=True)
    triton, export = {"cpu": ("triton", "export"), "gpu": ("triton-gpu", "export-gpu")}[profile]
    assert {*listed.stdout.split()} == {export, "prometheus", "grafana", triton}


def test_each_profile_starts_one_triton_and_only_the_gpu_s_asks_for_a_gpu() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    documents = {name: ["documents"] for name in ("etcd", "minio", "milvus", "ingest")}
    assert profiles == {
        "triton": ["cpu"], "export": ["cpu"], "triton-gpu": ["gpu"], "export-gpu": ["gpu"], "console": ["console"],
        **documents,
    }  # fmt: skip
    assert [name for name in SERVICES if "deploy" in SERVICES[name]] == ["triton-gpu"]
    groups = {name: SERVICES[name]["build"].get("args", {}).get("MODELS", "models") for name in TRITONS}
    assert groups == {"triton": "models", "triton-gpu": "models-gpu"}


def test_nothing_is_reached_from_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) >= 5
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert not any("network_mode" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_break_in_finds_the_container_read_only_and_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "user"} & service.keys()


def test_nobody_can_log_in_with_a_password_that_everybody_knows() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert not [name for name in environment if name.endswith("PASSWORD")]


@pytest.mark.parametrize("name", TRITONS)
def test_the_ports_are_those_the_server_listens_on(name: str) -> None:
    wanted = [Ports.http, Ports.grpc, Ports.metrics]
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}" for port in wanted]


@pytest.mark.parametrize("name", TRITONS)
def test_what_the_export_fills_is_what_the_server_reads_and_it_reads_only(name: str) -> None:
    export = SERVICES[TRITONS[name]]
    filled, read = targets(export), targets(SERVICES[name])
    events = read.pop(EVENTS)
    assert (events["source"], events.get("read_only", False)) == ("events", False)  # the one that it writes
    assert {target: volume["source"] for target, volume in read.items()} == {
        target: filled[target]["source"] for target in read
    }
    assert all(volume["read_only"] for volume in read.values())
    assert not any(filled[target].get("read_only") for target in read)
    assert SERVICES[name]["depends_on"] == {TRITONS[name]: {"condition": "service_completed_successfully"}}
    assert export.get("restart", "no") == "no"  # it has to end


def test_a_gpu_gets_a_precision_that_it_runs_though_the_export_sees_no_gpu() -> None:
    cpu, gpu = (SERVICES[name]["environment"] for name in TRITONS.values())
    assert (cpu["MALGIL_PRECISION"], gpu["MALGIL_PRECISION"]) == (
        "${MALGIL_PRECISION:-auto}",
        "${MALGIL_PRECISION:-fp32}",
    )
    assert {**cpu, "MALGIL_PRECISION": ""} == {**gpu, "MALGIL_PRECISION": ""}


def test_the_volumes_lie_where_the_code_looks() -> None:
    (workdir,) = STAGES["serve"].values("WORKDIR")
    assert workdir == IMAGE_ROOT
    places = {"exported"}
    for model, key in (("scorer", "index"), ("tokenizer", "index"), ("events", "folder")):
        config = (ROOT / "model_repository" / model / "config.pbtxt").read_text(encoding="utf-8")
        (index,) = re.findall(rf'key: "{key}" value: \{{ string_value: "([^"]+)"', config)
        places.add(str((launcher.REPOSITORY / model / index).resolve().relative_to(launcher.ROOT)))
    assert {target.removeprefix(f"{IMAGE_ROOT}/") for target in targets(SERVICES["triton"])} == places
    links = " ".join(line for line in STAGES["serve"].values("RUN") if line.startswith("ln "))
    assert links.count("../../../exported/") == 4
    # An empty named volume takes over the owner of the folder that it is mounted on; user 1000 could not write else.
    for stage, folders in (("serve", places), ("export", {*places - {"events"}, "models"}), ("console", {"events"})):
        made = "\n".join(line for line in STAGES[stage].values("RUN") if "mkdir" in line)
        assert all(re.search(rf"chown [\w:]+( [\w-]+)* {folder}\b", made) for folder in folders)


def test_named_volumes_and_mounted_files_exist() -> None:
    named = {v["source"] for s in SERVICES.values() for v in targets(s).values() if v["type"] == "volume"}
    assert named == COMPOSE["volumes"].keys()
    for service in SERVICES.values():
        for volume in targets(service).values():
            if volume["type"] == "bind":
                source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume["source"])
                assert (ROOT / source).exists(), source
                assert volume["read_only"]


def test_the_catalog_that_is_asked_for_lies_in_the_folder_that_is_mounted() -> None:
    environment = SERVICES["export"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", value) for name, value in environment.items()}
    assert (ROOT / defaults["MALGIL_NULL_TOPICS"]).exists()
    assert f"{IMAGE_ROOT}/data" in targets(SERVICES["export"])
    assert (ROOT / "catalogs" / defaults["MALGIL_CATALOG"].removeprefix("data/")).exists()
    script = (ROOT / SERVICES["export"]["entrypoint"][-1]).read_text(encoding="utf-8")
    assert {name for name in environment if name.startswith("MALGIL")} == {*re.findall(r"\{(MALGIL_\w+):?-", script)}


@pytest.mark.parametrize("name", TRITONS)
def test_shared_memory_and_time_to_end_suffice(name: str) -> None:
    service = SERVICES[name]
    assert service["shm_size"] == "256m"
    assert int(service["stop_grace_period"].removesuffix("s")) > launcher.STOP_SECONDS + 10  # --exit-timeout-secs
    assert service["tmpfs"][0].startswith("/tmp:")  # the launcher's scratch folder


@pytest.mark.parametrize("name", [*TRITONS, *TRITONS.values(), "console"])
def test_services_are_built_from_stages_that_exist(name: str) -> None:
    build = SERVICES[name]["build"]
    assert build["target"] in STAGES
    assert (ROOT / build["dockerfile"]).exists()
    assert set(build.get("args", {})) <= {value.split("=")[0] for value in STAGES["serve"].values("ARG")}


def test_documents_are_written_to_the_engine_of_their_profile_and_asked_of_any_or_none() -> None:
    assert [name for name in ("etcd", "minio") if "ports" in SERVICES[name]] == []  # their passwords are the defaults
    ingest, milvus = SERVICES["ingest"], SERVICES["milvus"]
    assert ingest["environment"]["MALGIL_DOCUMENTS"] == "http://milvus:19530"
    assert milvus["ports"] == ["127.0.0.1:19530:19530"]
    assert ingest["depends_on"]["milvus"] == {"condition": "service_healthy"}
    assert {"etcd", "minio"} == {*milvus["depends_on"]}
    assert all("healthcheck" in SERVICES[name] for name in ("etcd", "minio", "milvus"))
    assert all(re.search(r":[\w.-]*\d[\w.-]*$", SERVICES[name]["image"]) for name in ("etcd", "minio", "milvus"))
    articles = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", ingest["command"][1]).removeprefix("data/")
    assert (ROOT / "catalogs" / articles).exists()
    assert ingest["build"]["target"] in STAGES
    for name in TRITONS:
        assert SERVICES[name]["environment"]["MALGIL_DOCUMENTS"] == "${MALGIL_DOCUMENTS:-}"


@pytest.mark.parametrize("name", TRITONS)
def test_queries_are_kept_only_where_that_is_asked_for(name: str) -> None:
    assert SERVICES[name]["environment"][LOG_QUERIES] == f"${{{LOG_QUERIES}:-}}"


def test_the_console_publishes_where_the_server_reads_and_keeps_its_passwords_where_no_server_looks() -> None:
    console, stage = targets(SERVICES["console"]), STAGES["console"]
    for name in TRITONS:
        read = targets(SERVICES[name])
        assert {target: console[target]["source"] for target in read} == {t: v["source"] for t, v in read.items()}
        assert f"{IMAGE_ROOT}/console-data" not in read
    assert {target for target, volume in console.items() if not volume.get("read_only")} == {
        f"{IMAGE_ROOT}/index", f"{IMAGE_ROOT}/console-data",
    }  # fmt: skip
    environment = SERVICES["console"]["environment"]
    database = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", environment["MALGIL_CONSOLE_DATABASE"])
    assert database == stage.environment["MALGIL_CONSOLE_DATABASE"] == f"sqlite:///{IMAGE_ROOT}/console-data/console.db"
    assert "--secret-file console-data/console.secret" in " ".join(stage.command("CMD"))
    assert any(re.search(r"chown \S+ console-data\b", line) for line in stage.values("RUN"))  # an empty volume's owner
    assert environment["MALGIL_URL"] == f"triton:{Ports.grpc}"
    assert environment["MALGIL_NULL_TOPICS"] == SERVICES["export"]["environment"]["MALGIL_NULL_TOPICS"]
    assert environment.keys() <= {*re.findall("MALGIL_[A-Z_]+", Path(suggest_settings.__file__).read_text()),
                                  *(option.envvar for option in cli.params)}  # fmt: skip


def test_the_console_is_reached_at_the_port_that_it_listens_on() -> None:
    (port,) = (option.default for option in cli.params if option.name == "port")
    assert SERVICES["console"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert STAGES["console"].values("EXPOSE") == [str(port)]
    assert f":{port}/health" in STAGES["console"].command("HEALTHCHECK")[-1]


def test_the_command_for_a_console_behind_a_proxy_keeps_what_the_image_has() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    command = yaml.safe_load(block)["services"]["console"]["command"]
    image = STAGES["console"].command("CMD")
    assert command[: len(image)] == image
    commands.check(["docker", "compose", "--profile", "console", "run", "console", *command])
