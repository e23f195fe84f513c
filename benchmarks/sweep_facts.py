"""What a reader needs to know beside a figure: the machine, the versions, the code, and how the server batches."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from malgil_core.encoder import EncoderMetadata

from export import ROOT

# What the figures depend on, as git's path patterns.
MEASURED = (
    "benchmarks/perf_analyzer.py", "benchmarks/shapes.py", "benchmarks/sweep*.py",
    "export", "model_repository", "server", "pyproject.toml",
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


def encoder(metadata: EncoderMetadata, model_file: Path) -> dict[str, Any]:
    """What the exported encoder is, from its metadata."""
    names = ("name", "family", "graph", "precision", "vocabulary", "dimension", "max_length", "fingerprint")
    chosen = {name: getattr(metadata, name) for name in names}
    return {**chosen, "model_mib": round(model_file.stat().st_size / 2**20, 1)}


def steps(client: Any, model: str) -> list[str]:
    """The models that a request to `model` passes: an ensemble's steps in order, or itself."""
    config = client.get_model_config(model).config
    return [step.model_name for step in config.ensemble_scheduling.step] or [model]


def batching(client: Any, names: list[str]) -> dict[str, Any]:
    """Each model's largest batch, dynamic batcher, instances, and the parameters it is run with."""
    found = {}
    for name in names:
        config = client.get_model_config(name, as_json=True)["config"]
        found[name] = {
            "max_batch_size": config.get("max_batch_size", 0),
            "dynamic_batching": config.get("dynamic_batching"),
            "instances": [
                {"count": group.get("count", 1), "kind": group.get("kind", "KIND_AUTO")}
                for group in config.get("instance_group", [])
            ],
            "parameters": {key: value["string_value"] for key, value in config.get("parameters", {}).items()},
        }
    return found


def statistics(client: Any, names: list[str]) -> dict[str, dict[str, int]]:
    """Each model's counters since it was loaded: requests, inferences, executions, failures, and nanoseconds."""
    found = {}
    for name in names:
        one = client.get_inference_statistics(name).model_stats[0]
        parts = one.inference_stats
        found[name] = {
            "requests": parts.success.count,
            "failed": parts.fail.count,
            "inferences": one.inference_count,
            "executions": one.execution_count,
            "queue": parts.queue.ns,
            "input": parts.compute_input.ns,
            "infer": parts.compute_infer.ns,
            "output": parts.compute_output.ns,
        }
    return found


def between(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    """What happened in each model between two readings: milliseconds of each request, and the mean batch."""
    found = {}
    for name, last in after.items():
        gone = {key: value - before[name][key] for key, value in last.items()}
        requests, executions = max(gone["requests"], 1), max(gone["executions"], 1)
        found[name] = {
            **{f"{key}_ms": gone[key] / requests / 1e6 for key in ("queue", "input", "infer", "output")},
            "requests": gone["requests"],
            "failed": gone["failed"],
            "executions": gone["executions"],
            "mean_batch": gone["inferences"] / executions,
        }
    return found
