"""The machine, versions and code that a figure was measured with, as they are written beside it."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import ROOT

# What the figures depend on, as git's path patterns.
MEASURED = (
    "benchmarks/perf_analyzer.py", "benchmarks/shapes.py", "benchmarks/texts.py", "benchmarks/sweep", "core", "export",
    "model_repository", "server", "pyproject.toml",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """CPU model, cores that this process may use, memory in GiB, and the name of each NVIDIA GPU."""
    gpus: list[str] = []
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answered = subprocess.run(asked, capture_output=True, text=True, check=False)
        gpus = answered.stdout.split("\n")[:-1] if answered.returncode == 0 else []
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": gpus,
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(client: Any) -> dict[str, str | None]:
    """Triton's own version through its client, and those of what this Python has."""
    found: dict[str, str | None] = {"triton": client.get_server_metadata().version, "python": platform.python_version()}
    for name in ("onnxruntime", "numpy", "tokenizers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None  # a container's Triton brings its own
    return found


def code() -> dict[str, Any]:
    """The git commit, and whether what is measured differs from it; `changes` tells two such differences apart."""
    commit = _git("rev-parse", "HEAD").strip()
    if not commit:
        return {"commit": None, "dirty": None, "changes": None}
    untracked = _git("ls-files", "--others", "--exclude-standard", "--", *MEASURED).splitlines()
    changes = _git("diff", "HEAD", "--", *MEASURED)
    changes += "".join(Path(ROOT, path).read_text(encoding="utf-8", errors="replace") for path in untracked)
    digest = hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None
    return {"commit": commit, "dirty": bool(changes), "changes": digest}


def _git(*arguments: str) -> str:
    if not shutil.which("git"):
        return ""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout
