"""Checks of the pages' commands that need Docker or a cluster: not run, but compared with the repository."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from export import ROOT
from tests.image import STAGES

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
TOOLS = ("docker", "kubectl")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AssertionError(message)


def check(words: list[str]) -> None:
    """Check that a `docker` or `kubectl` command names options, services, profiles, files and objects that exist.

    Raises:
        AssertionError: it names something else.
    """
    if words[:2] == ["docker", "compose"]:
        _compose(words[2:])
    elif words[:2] == ["docker", "build"]:
        _build(words[2:])
    elif words[0] == "kubectl":
        _kubectl(words[1:])
    else:
        raise AssertionError(f"{' '.join(words)}: no check for this command")


def _compose(words: list[str]) -> None:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", action="append", default=[])
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, options in {
        "up": ("--build", "--detach"), "run": ("--rm",), "restart": (), "ps": (), "logs": ("--follow",), "down": (),
    }.items():  # fmt: skip
        command = commands.add_parser(name, add_help=False, allow_abbrev=False)
        command.add_argument("services", nargs="*")
        for option in options:
            command.add_argument(option, action="store_true")
    given = parser.parse_args(words)
    services: dict[str, Any] = COMPOSE["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    assert {*given.profile} <= profiles
    enabled = {
        name
        for name, service in services.items()
        if not service.get("profiles") or {*service["profiles"]} & {*given.profile}
    }
    assert {*given.services} <= enabled
    if given.command in ("up", "ps"):
        assert given.profile, "without a profile there is no Triton"


def _build(words: list[str]) -> None:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in ("-f", "--target", "-t"):
        parser.add_argument(option, required=True)
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("context")
    given = parser.parse_args(words)
    assert (ROOT / given.f).is_file()
    assert given.target in STAGES
    assert given.context == "."
    kustomization = yaml.safe_load((ROOT / "server/kubernetes/kustomization.yaml").read_text(encoding="utf-8"))
    assert given.t in {f"{image['newName']}:{image['newTag']}" for image in kustomization["images"]}


def _kubectl(words: list[str]) -> None:
    manifests = list(_manifests())
    known = {f"{manifest['kind'].lower()}/{manifest['metadata']['name']}" for manifest in manifests}
    (publisher,) = (
        manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] == "CronJob"
    )
    match words:
        case ["apply", "-k", folder]:
            assert (ROOT / folder / "kustomization.yaml").is_file()
        case ["create", "configmap", name, source]:
            option, file, path = source.split("=")
            assert option == "--from-file"
            assert (ROOT / path).is_file()
            assert any(volume.get("configMap") == {"name": name} for volume in publisher["volumes"])
            assert {"name": "MALGIL_CATALOG", "value": f"data/{file}"} in publisher["containers"][0]["env"]
        case ["create", "job", source, _]:
            assert source.removeprefix("--from=") in known
        case ["rollout", "restart" | "status", name]:
            assert name in known
        case _:
            raise AssertionError(f"kubectl {' '.join(words)}: no check for this command")


def _manifests() -> Iterator[dict[str, Any]]:
    for path in (ROOT / "server" / "kubernetes").glob("*.yaml"):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if "metadata" in manifest:
                yield manifest
