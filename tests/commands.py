"""Checks of the pages' commands that need Docker or a cluster: not run, but compared with the repository."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NoReturn

import click
import yaml

from console.account_cli import account
from console.cli import cli as console
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
        command.add_argument("services", nargs=1 if name == "run" else "*")
        for option in options:
            command.add_argument(option, action="store_true")
        if name == "run":
            command.add_argument("words", nargs=argparse.REMAINDER)
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
    if "words" in given and given.words:
        assert given.services == ["console"], "no check for what follows the name of this service"
        _console(given.words)
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
    assert given.t in {
        f"{image['newName']}:{image['newTag']}"
        for path in (ROOT / "server/kubernetes").rglob("kustomization.yaml")
        for image in yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
    }


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
        case ["create", "secret", "generic", name, *sources]:
            for source in sources:
                option, key, path = source.split("=")
                assert option == "--from-file"
                assert key == path, "a file of the user's, named as the key"
                assert (name, key) in _secrets(manifests)
        case ["delete", "secret", name]:
            assert name in {secret for secret, _ in _secrets(manifests)}
        case ["rollout", "restart" | "status", name]:
            assert name in known
        case ["port-forward", name, port]:
            kind, _, name = name.partition("/")
            (service,) = (one for one in manifests if (one["kind"].lower(), one["metadata"]["name"]) == (kind, name))
            assert int(port) in {one["port"] for one in service["spec"]["ports"]}
        case ["exec", "-i" | "-it", name, "--", "python", "-m", "console", *rest]:
            assert name in known
            if "<" in rest:
                *rest, _, path = rest
                assert (ROOT / path).is_file()
            _console(rest)
        case _:
            raise AssertionError(f"kubectl {' '.join(words)}: no check for this command")


def _secrets(manifests: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(Secret, key) of each that a Deployment's pods read: a variable, or the file of a volume that an option names."""
    found = set()
    for manifest in manifests:
        pod = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Deployment" else {}
        secrets = {one["name"]: one["secret"]["secretName"] for one in pod.get("volumes", ()) if "secret" in one}
        for container in (*pod.get("initContainers", ()), *pod.get("containers", ())):
            for variable in container.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    found.add((reference["name"], reference["key"]))
            for mount in container["volumeMounts"]:
                folder = f"{mount['mountPath'].removeprefix('/malgil/')}/"
                for word in container.get("args", ()):
                    if mount["name"] in secrets and word.startswith(folder):
                        found.add((secrets[mount["name"]], word.removeprefix(folder)))
    return found


def _console(words: list[str]) -> None:
    """Check the options and arguments of `python -m console`."""
    console.add_command(account)
    command: click.Command = console
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert not isinstance(command, click.Group) or words[:1] == [] or words[0].startswith("-"), words[0]
    try:
        command.make_context(command.name, [*words])
    except click.UsageError as error:
        raise AssertionError(error.format_message()) from None


def _manifests() -> Iterator[dict[str, Any]]:
    for path in (ROOT / "server" / "kubernetes").rglob("*.yaml"):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if "metadata" in manifest:
                yield manifest
