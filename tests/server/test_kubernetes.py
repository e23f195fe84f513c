"""server/kubernetes: what the API takes, and what the code, the image and docker-compose.yml expect."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import malgil
import psutil
import pytest
import yaml
from malgil_core.serving.events import LOG_QUERIES

from export import ROOT
from export.suggest import settings as endpoint
from server import exposure, launcher
from server.documents import Access
from server.exposure import Exposure
from server.launcher import Server
from server.ports import Ports, free_ports
from tests import commands
from tests.image import STAGES
from tests.prometheus import ask
from tests.server.test_compose import IMAGE_ROOT, SERVICES, targets

FOLDER = ROOT / "server" / "kubernetes"
VERSION = "1.34"  # of the API; one that clusters have
NO_MANIFESTS = ("kustomization.yaml", "prometheus-adapter.yaml")  # not manifests
MANIFESTS: list[dict[str, Any]] = [
    manifest
    for path in sorted(FOLDER.rglob("*.yaml"))
    if path.name not in NO_MANIFESTS
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
KINDS = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in MANIFESTS}
DEPLOYMENT = KINDS["Deployment", "malgil"]
PUBLISHER = KINDS["CronJob", "malgil-publish"]["spec"]["jobTemplate"]
CONSOLE = KINDS["Deployment", "malgil-console"]
PODS: dict[str, dict[str, Any]] = {
    "serve": DEPLOYMENT["spec"]["template"]["spec"],
    "export": PUBLISHER["spec"]["template"]["spec"],
    "console": CONSOLE["spec"]["template"]["spec"],
}
LABELS = [spec["spec"]["template"]["metadata"]["labels"] for spec in (DEPLOYMENT, PUBLISHER, CONSOLE)]
TRITON = PODS["serve"]["containers"][0]


def mounts(pod: dict[str, Any]) -> dict[str, tuple[dict[str, Any], bool]]:
    """(volume, whether read-only) of each place in the pod's container."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    return {
        mount["mountPath"]: (volumes[mount["name"]], mount.get("readOnly", False))
        for mount in pod["containers"][0]["volumeMounts"]
    }


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_kubernetes_takes_the_manifest(kind: tuple[str, str]) -> None:
    kubernetes_validate.validate(KINDS[kind], VERSION, strict=True)  # strict: a misspelt field is an error


@pytest.mark.parametrize(("folder", "services"), [(FOLDER, ["triton", "export"]), (FOLDER / "console", ["console"])])
def test_kustomize_finds_every_manifest_and_every_image(folder: Path, services: list[str]) -> None:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert {*kustomization["resources"]} == {path.name for path in folder.glob("*.yaml")} - {*NO_MANIFESTS}
    images = {re.findall(r"\bimage: (\S+)", (folder / name).read_text())[0] for name in kustomization["resources"]
              if "image:" in (folder / name).read_text()}  # fmt: skip
    assert (
        {image["name"] for image in kustomization["images"]} == images == {SERVICES[name]["image"] for name in services}
    )


@pytest.mark.parametrize("stage", PODS)
def test_pods_meet_the_restricted_standard_and_write_only_to_mounts(stage: str) -> None:
    pod = PODS[stage]
    *_, user = STAGES[stage].values("USER")
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user == f"{security['fsGroup']}:{security['fsGroup']}"
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()
    assert pod["automountServiceAccountToken"] is False
    assert "/tmp" in mounts(pod)


@pytest.mark.parametrize(("stage", "service"), [("serve", "triton"), ("export", "export"), ("console", "console")])
def test_volumes_lie_where_the_image_and_docker_compose_have_them(stage: str, service: str) -> None:
    mounted = {path: read_only for path, (_, read_only) in mounts(PODS[stage]).items() if path.startswith(IMAGE_ROOT)}
    wanted = {path: bool(mount.get("read_only")) for path, mount in targets(SERVICES[service]).items()}
    if stage == "console":
        del wanted[f"{IMAGE_ROOT}/data"]  # a catalog is imported through `kubectl exec`
    assert mounted == wanted


def test_servers_read_what_the_one_publisher_writes() -> None:
    claims = {
        stage: {
            path: volume["persistentVolumeClaim"]["claimName"]
            for path, (volume, _) in mounts(pod).items()
            if "persistentVolumeClaim" in volume
        }
        for stage, pod in PODS.items()
    }
    events = f"{IMAGE_ROOT}/events"
    assert {path: claims["console"][path] for path in claims["serve"]} == claims["serve"]
    assert {path: claim for path, claim in claims["serve"].items() if path != events} == claims["export"]
    assert [
        path for path, (_, read_only) in mounts(PODS["serve"]).items() if path in claims["serve"] and not read_only
    ] == [
        events  # the one that they write, each to files of its own
    ]
    assert KINDS["PersistentVolumeClaim", claims["serve"][events]]["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in claims.values():
        assert {("PersistentVolumeClaim", claim) for claim in pod.values()} <= KINDS.keys()
    assert KINDS["CronJob", "malgil-publish"]["spec"]["concurrencyPolicy"] == "Forbid"
    (container,) = PODS["export"]["containers"]
    assert container["command"] == SERVICES["export"]["entrypoint"]
    assert {one["name"] for one in container["env"]} <= SERVICES["export"]["environment"].keys()


def test_shared_memory_is_memory_and_as_large_as_in_docker_compose() -> None:
    shm = mounts(PODS["serve"])["/dev/shm"][0]["emptyDir"]
    assert shm == {"medium": "Memory", "sizeLimit": SERVICES["triton"]["shm_size"].replace("m", "Mi")}


def test_ports_are_those_the_server_listens_on_everywhere() -> None:
    wanted = {"http": Ports.http, "grpc": Ports.grpc, "metrics": Ports.metrics}
    assert {port["name"]: port["containerPort"] for port in TRITON["ports"]} == wanted
    assert {port["targetPort"]: port["port"] for port in KINDS["Service", "malgil"]["spec"]["ports"]} == wanted
    named = {port["port"] for rule in KINDS["NetworkPolicy", "malgil"]["spec"]["ingress"] for port in rule["ports"]}
    assert named == wanted.keys()
    scraped = yaml.safe_load((ROOT / "server/monitoring/prometheus-kubernetes.yml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in scraped] == ["malgil"]  # what every query names
    assert scraped[0]["relabel_configs"][0]["regex"] == f"{LABELS[0]['app.kubernetes.io/name']};metrics"


def test_probes_are_the_images_health_check_and_run_into_no_timeout_of_kubernetes() -> None:
    check = STAGES["serve"].command("HEALTHCHECK")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = TRITON[name]
        *words, seconds = probe["exec"]["command"]
        assert words == check[:-1]
        assert float(seconds) < probe["timeoutSeconds"] <= probe["periodSeconds"]
    startup, liveness = TRITON["startupProbe"], TRITON["livenessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > launcher.START_SECONDS
    assert liveness["periodSeconds"] * liveness["failureThreshold"] > launcher.START_SECONDS  # a restart within the pod


def test_a_pod_has_time_to_answer_what_it_was_asked() -> None:
    sleep = int(TRITON["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert PODS["serve"]["terminationGracePeriodSeconds"] > sleep + launcher.STOP_SECONDS + 10  # --exit-timeout-secs


def test_selectors_find_the_pods() -> None:
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        KINDS["Service", "malgil"]["spec"]["selector"],
        KINDS["PodDisruptionBudget", "malgil"]["spec"]["selector"]["matchLabels"],
        KINDS["NetworkPolicy", "malgil"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector == LABELS[0] for selector in selectors)
    assert KINDS["NetworkPolicy", "malgil-publish"]["spec"]["podSelector"]["matchLabels"] == LABELS[1]
    for selector in (
        CONSOLE["spec"]["selector"]["matchLabels"],
        KINDS["Service", "malgil-console"]["spec"]["selector"],
        KINDS["NetworkPolicy", "malgil-console"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= LABELS[2].items()
        assert not any(selector.items() <= labels.items() for labels in LABELS[:2])
    scaled = KINDS["HorizontalPodAutoscaler", "malgil"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) in KINDS
    assert "replicas" not in DEPLOYMENT["spec"]  # an apply would undo what was scaled
    assert KINDS["Service", "malgil"]["spec"]["clusterIP"] == "None"


def test_the_metric_that_scales_has_a_value(prometheus: str) -> None:
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]
    (metric,) = KINDS["HorizontalPodAutoscaler", "malgil"]["spec"]["metrics"]
    assert rule["name"]["as"] == metric["pods"]["metric"]["name"]
    series = re.sub(r'\b(namespace|pod)!="",', "", rule["seriesQuery"])
    assert ask(prometheus, series)
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'job="malgil"').replace("<<.GroupBy>>", "instance")
    (one,) = ask(prometheus, query)
    assert 0 <= float(one["value"][1]) < 10


@pytest.mark.live
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_connections_end_without_a_failed_request_so_that_clients_find_replicas_added_later(
    repository: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    assert exposure.CONNECTION_AGE_MS <= 600_000
    monkeypatch.setattr(exposure, "CONNECTION_AGE_MS", 500)
    with (tmp_path / "log").open("wb") as log, Server(repository, free_ports(), Exposure(listen), log) as server:
        server.wait_ready()
        connections: set[int] = set()
        answered = threading.Event()

        def search() -> None:
            with malgil.SearchClient(server.grpc_url, retries=0) as client:
                ends = time.monotonic() + 3
                while time.monotonic() < ends:
                    client.search("송금", top_k=1)
            answered.set()

        caller = threading.Thread(target=search)
        caller.start()
        while caller.is_alive():
            for one in psutil.Process().net_connections():
                if one.raddr and one.raddr.port == server.ports.grpc:
                    connections.add(one.laddr.port)
            time.sleep(0.05)
    assert answered.is_set()
    assert len(connections) >= 3


def test_the_server_starts_without_documents_and_learns_of_an_engine_by_the_variables_it_reads() -> None:
    sources = {one["name"]: next(iter(one["valueFrom"].items())) for one in TRITON["env"] if "valueFrom" in one}
    assert sources == {
        "MALGIL_DOCUMENTS": ("configMapKeyRef", {"name": "malgil-documents", "key": "uri", "optional": True}),
        "MALGIL_DOCUMENTS_TOKEN": ("secretKeyRef", {"name": "malgil-documents", "key": "token", "optional": True}),
    }
    assert sources.keys() < Access().environment.keys()


def test_queries_are_kept_only_where_that_is_asked_for() -> None:
    assert {"name": LOG_QUERIES, "value": "0"} in TRITON["env"]


def test_the_console_reaches_the_servers_and_nobody_reaches_it_but_by_its_port() -> None:
    servers, console = (KINDS["NetworkPolicy", name]["spec"] for name in ("malgil", "malgil-console"))
    (clients, _) = servers["ingress"]
    allowed: dict[str, str] = clients["from"][0]["podSelector"]["matchLabels"]
    assert allowed.items() <= LABELS[2].items()
    (to,) = console["egress"][0]["to"]
    assert to["podSelector"]["matchLabels"] == LABELS[0]
    (port,) = console["egress"][0]["ports"]
    (container,) = PODS["console"]["containers"]
    assert container["env"][0] == {
        "name": "MALGIL_URL",
        "value": f"malgil:{KINDS['Service', 'malgil']['spec']['ports'][1]['port']}",
    }
    assert port["port"] == KINDS["Service", "malgil"]["spec"]["ports"][1]["targetPort"]
    assert [rule["ports"] for rule in console["ingress"]] == [[{"protocol": "TCP", "port": "http"}]]
    assert all("from" in rule for rule in console["ingress"])


def test_one_console_writes_to_a_store_that_no_server_mounts_and_an_account_is_there_before_it_listens() -> None:
    assert (CONSOLE["spec"]["replicas"], CONSOLE["spec"]["strategy"]["type"]) == (1, "Recreate")
    pod = PODS["console"]
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    claim = KINDS["PersistentVolumeClaim", "malgil-console"]["spec"]
    assert claim["accessModes"] == ["ReadWriteOnce"]
    (first,), (console,) = pod["initContainers"], pod["containers"]
    assert first["image"] == console["image"]
    assert first["args"][:2] == ["account", "add"]
    assert " ".join(["--only-if", "none"]) in " ".join(first["args"])
    commands.check(
        ["kubectl", "exec", "-i", "deployment/malgil-console", "--", "python", "-m", "console", *first["args"]]
    )
    commands.check(
        ["kubectl", "exec", "-i", "deployment/malgil-console", "--", "python", "-m", "console", *console["args"]]
    )
    variables = [{one["name"]: one for one in container["env"]} for container in (first, console)]
    databases = [one["MALGIL_CONSOLE_DATABASE"] for one in variables]
    assert databases[0] == databases[1]
    assert variables[1].keys() >= {"MALGIL_URL", endpoint.URL, endpoint.MODEL, endpoint.KEY}
    shared = {mount["name"]: mount["mountPath"] for mount in first["volumeMounts"]}
    assert shared["console"] in {mount["mountPath"] for mount in console["volumeMounts"]}
    command = [*STAGES["console"].command("CMD")]
    assert "=".join(command[-2:]) in console["args"]  # the secret lies in the same volume


def test_probes_of_the_console_ask_what_it_answers_and_a_lost_database_restarts_nothing() -> None:
    (container,) = PODS["console"]["containers"]
    (port,) = container["ports"]
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["port"] for probe in paths.values()} == {port["name"]}
    assert f":{port['containerPort']}{paths['readinessProbe']['path']}'" in STAGES["console"].command("HEALTHCHECK")[-1]
    assert paths["startupProbe"] == paths["readinessProbe"]
    assert (ROOT / "console" / paths["livenessProbe"]["path"].lstrip("/")).is_file()
    (service,) = KINDS["Service", "malgil-console"]["spec"]["ports"]
    assert service["targetPort"] == port["name"]
