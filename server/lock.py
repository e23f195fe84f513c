"""The lockfile: the exact version of every package that the set-up installs, as pip resolves them today.

Run it by `make lock` after a change of the dependency groups in pyproject.toml. The set-up passes the file to pip as
constraints, so each group takes from it what it needs. It names no build of torch and nothing that torch alone asks
for: those packages differ between the builds for CPU and for CUDA, and torch pins them itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
HEADER = f"""\
# Made by `make lock` with Python {sys.version_info.major}.{sys.version_info.minor}: do not edit.
"""


def resolve(groups: Iterable[str]) -> list[dict[str, Any]]:
    """The metadata of each distribution that pip would install for these groups and for core/, client/, documents/."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    for group in groups:
        command += ["--group", group]
    report = subprocess.run(
        [*command, "./core", "./client", "./documents"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    return [item["metadata"] for item in json.loads(report)["install"]]


def pins(distributions: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line for each distribution, by name; torch without its build (`+cpu`)."""
    for name, version in sorted((canonical(item["name"]), item["version"]) for item in distributions):
        if name not in ("malgil", "malgil-core", "malgil-documents") and not is_cuda(name):
            yield f"{name}=={version.partition('+')[0]}"


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it: in lower case, with - for . and _."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_cuda(name: str) -> bool:
    """Whether only torch's build for CUDA asks for the package."""
    return name.startswith(("nvidia-", "cuda-")) or name == "triton"


if __name__ == "__main__":
    names = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    LOCK.write_text(HEADER + "".join(f"{pin}\n" for pin in pins(resolve(names))), encoding="utf-8")
