"""requirements.lock: what the set-up installs is what pyproject.toml asks for, and nothing of it floats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
import tomllib
from packaging.requirements import Requirement

from server import lock

GROUPS: dict[str, list[Any]] = tomllib.loads((lock.ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
LINES = [line for line in lock.LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
PINS = dict(line.split("==") for line in LINES)


def asked() -> list[Requirement]:
    """The requirements of all groups and of both distributions."""
    lines = [line for group in GROUPS.values() for line in group if isinstance(line, str)]
    return [Requirement(line) for line in [*lines, "malgil-core", "malgil"]]


def required(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[str]:
    """The names of what a requirement brings along, itself included, by what is installed here."""
    name = lock.canonical(requirement.name)
    yield name
    for extra in ("", *requirement.extras):
        if (name, extra) in seen or lock.is_cuda(name):
            continue
        seen.add((name, extra))
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                yield from required(needed, seen)


@pytest.mark.parametrize("requirement", [r for r in asked() if r.specifier], ids=str)
def test_a_version_in_pyproject_is_the_one_that_is_installed(requirement: Requirement) -> None:
    pin = PINS[lock.canonical(requirement.name)]
    assert requirement.specifier.contains(pin), f"the lock has {pin}: run `make lock`"


def test_no_package_that_the_set_up_installs_is_of_whatever_version_is_newest() -> None:
    seen: set[tuple[str, str]] = set()
    needed = {name for requirement in asked() for name in required(requirement, seen)}
    needed = {name for name in needed if not lock.is_cuda(name)} - {"malgil", "malgil-core"}
    assert sorted(needed - PINS.keys()) == [], "missing in the lock: run `make lock`"
    if lock.HEADER in lock.LOCK.read_text("utf-8"):  # made with this Python
        assert sorted(PINS.keys() - needed) == [], "in the lock, and needed by nothing: run `make lock`"


def test_neither_a_build_of_torch_nor_cuda_is_locked_so_that_each_machine_takes_the_one_that_fits() -> None:
    made = [{"name": "torch", "version": "2.13.0+cpu"}, {"name": "nvidia-cublas", "version": "13.0"}]
    assert list(lock.pins([*made, {"name": "Ruamel_Yaml", "version": "1"}, {"name": "triton", "version": "3"}])) == [
        "ruamel-yaml==1",
        "torch==2.13.0",
    ]
    assert all(re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line) for line in LINES)
    assert not [name for name in PINS if lock.is_cuda(name)]
