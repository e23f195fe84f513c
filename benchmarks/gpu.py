"""Tests and timings of ranking on a GPU, on a machine with PyTorch and nothing else of this project.

    python3 benchmarks/gpu.py --json gpu.json

Installs with pip what malgil_core and its tests need and is missing, PyTorch never; runs CudaScorer's tests and the
scoring benchmark, in under ten minutes; and writes JSON with the card's name. `--device cpu --quick` tries the script
where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/core/ranking/test_cuda.py",)
TOOLS = ("click", "hypothesis", "pytest")
SIZES = ((100_000, 768), (1_000_000, 384))  # phrases, dimension
QUICK_SIZES = ((10_000, 128),)
RUNS, QUICK_RUNS = 9, 2
TEST_SECONDS = 300


def main() -> int:
    """Install, test, measure, write; 1 where a test fails or there is no GPU."""
    parser = argparse.ArgumentParser(prog="python3 benchmarks/gpu.py", description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), metavar="FILE", help="default: gpu.json")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: try the script without a GPU")
    parser.add_argument("--quick", action="store_true", help="a small index, and two runs of each")
    parser.add_argument("--no-install", action="store_true", help="fail where something is missing")
    arguments = parser.parse_args()
    if not find_spec("torch"):
        return _fail("PyTorch is missing: this script installs everything else, but not that")
    # In another process: a torch that was imported before NumPy was installed does without.
    look = [sys.executable, "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"]
    if arguments.device == "cuda" and subprocess.run(look, check=False).returncode:
        return _fail("PyTorch finds no GPU: --device cpu tries the script without one")
    if missing := missing_packages():
        if arguments.no_install:
            return _fail(f"missing: {', '.join(missing)}")
        print(f"installing {', '.join(missing)}", flush=True)
        if subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=False).returncode:
            return _fail(f"pip could not install {', '.join(missing)}")
    sys.path[:0] = [str(ROOT), str(ROOT / "core")]
    import torch

    from benchmarks import machine

    began = time.monotonic()
    found: dict[str, Any] = {
        "card": torch.cuda.get_device_name() if arguments.device == "cuda" else None,
        "device": arguments.device,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "machine": machine.machine(),
        "code": machine.code(),
        "tests": run_tests(),
    }
    print(f"{found['card'] or 'no GPU'}: {found['tests']['summary']}", flush=True)
    sizes, runs = (QUICK_SIZES, QUICK_RUNS) if arguments.quick else (SIZES, RUNS)
    found["scoring"] = [row for size in sizes for row in measure(*size, runs, arguments.device)]
    found["seconds"] = round(time.monotonic() - began, 1)
    arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{arguments.json}, after {found['seconds']:.0f} s")
    return 0 if found["tests"]["passed"] else 1


def missing_packages() -> list[str]:
    """The requirements of malgil_core, and the tools of its tests, that are not installed."""
    project = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [needed for needed in (*project["dependencies"], *TOOLS) if not _installed(needed)]


def run_tests() -> dict[str, Any]:
    """Run CudaScorer's tests, which take "cuda" where there is one, without the project's pytest settings."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(ROOT), "--noconftest"]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", *TESTS]
    path = os.pathsep.join([str(ROOT), str(ROOT / "core"), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        timeout=TEST_SECONDS,
    )  # fmt: skip
    printed = (ended.stdout + ended.stderr).strip()
    counts = re.findall(r"^.*\b(?:passed|failed|error)s?\b.* in [\d.]+s.*$", printed, re.MULTILINE)
    summary = counts[-1].strip("= ") if counts else "pytest ran no test"
    result: dict[str, Any] = {"passed": ended.returncode == 0, "summary": summary, "files": list(TESTS)}
    return result if result["passed"] else {**result, "output": printed[-5000:]}


def measure(phrases: int, dimension: int, runs: int, device: str) -> list[dict[str, Any]]:
    """Time every method on the device, and on this machine's CPU, over the bare product there."""
    from benchmarks import scoring

    rows = []
    contests = {
        f"torch, {device}": lambda index, queries: scoring.on_torch(index, queries, device),
        "CPU": scoring.on_cpu,
    }
    for where, contest in contests.items():
        for result in scoring.measure(phrases, dimension, runs, contest):
            rows.append({"on": where, "phrases": phrases, "dimension": dimension, "runs": runs, **asdict(result)})
            print(
                f"{phrases:,} × {dimension}, {where}, batch {result.batch}: {result.method}: {result.ratio:.2f} times "
                f"{result.product_ms:.3g} ms ({result.low:.2f}…{result.high:.2f})",
                flush=True,
            )
    return rows


def _installed(requirement: str) -> bool:
    """Whether a requirement is installed, in whatever version."""
    try:
        version(re.split(r"[<>=!~\[ ]", requirement)[0])
    except PackageNotFoundError:
        return False
    return True


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
