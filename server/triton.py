"""Find a tritonserver, with the backends, libraries and flags that it needs to load the model repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CONTAINER = Path("/opt/tritonserver")
_PLAIN = re.compile(r"[A-Za-z0-9_./@%+=:,-]+")
DROP_IN = Path(__file__).parent / "backends" / "onnxruntime"


class SetupError(Exception):
    """The server cannot start as things are; the text says what to do."""


@dataclass(frozen=True)
class Home:
    """A tritonserver, its backends, and the environment that it runs in."""

    binary: Path
    backends: Path
    environment: dict[str, str]


def find_home(scratch: Path) -> Home:
    """The container's Triton where there is one, else pip's, whose backends are put together in `scratch`.

    Raises:
        SetupError: there is neither.
    """
    if (CONTAINER / "bin" / "tritonserver").exists():
        return Home(CONTAINER / "bin" / "tritonserver", CONTAINER / "backends", preload(dict(os.environ), scratch))
    spec = find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("there is no tritonserver: run `make setup`, or install nvidia-pytriton==0.7.0 (--no-deps)")
    if not sys.prefix.isascii():
        raise SetupError(f"pip's Triton finds no Python packages in {sys.prefix}: move the checkout to an ASCII path")
    package = Path(spec.submodule_search_locations[0])
    triton = package / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise SetupError(f"pip's Triton has no Python backend for Python {version}: use 3.11 or 3.12")
    backends = scratch / "backends"
    python = backends / "python"
    python.mkdir(parents=True)
    for source in (*(triton / "backends" / "python").glob("*.*"), stub):
        shutil.copy2(source, python)  # no links: Triton refuses a backend that lies outside its directory
    shutil.copytree(DROP_IN, backends / "onnxruntime", ignore=shutil.ignore_patterns("__pycache__"))
    return Home(
        triton / "bin" / "tritonserver", backends, _environment(package.parent / "nvidia_pytriton.libs", scratch)
    )


def _environment(libraries: Path, scratch: Path) -> dict[str, str]:
    """This process's environment, with which the stubs find libpython and this Python's packages."""
    environment = dict(os.environ)
    libpython = sysconfig.get_config_var("LIBDIR") if sysconfig.get_config_var("Py_ENABLE_SHARED") else None
    paths = [str(libraries), libpython, environment.get("LD_LIBRARY_PATH")]
    environment["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    # The stub's Python takes no notice of PYTHONPATH; it finds its packages by the first python3 on PATH.
    environment["PATH"] = ":".join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    environment["PYTHONUNBUFFERED"] = "1"
    return preload(environment, scratch)


def preload(environment: dict[str, str], scratch: Path) -> dict[str, str]:
    """The environment with jemalloc as the allocator of Triton and its stubs, where jemalloc is found.

    With it Triton outlives a write to freed memory that glibc's allocator aborts on; see docs/known-issues.md.
    """
    library = find_jemalloc()
    loaded = environment.get("LD_PRELOAD", "")
    if library and "jemalloc" not in loaded:
        if "/" in library:  # LD_PRELOAD takes a blank in a path for its end
            library = str(plain_path(Path(library), scratch / "libjemalloc.so.2"))
        environment["LD_PRELOAD"] = f"{library}:{loaded}".rstrip(":")
    return environment


def find_jemalloc() -> str | None:
    """The jemalloc that server/install.sh has unpacked, else the system's; None where there is neither."""
    unpacked = Path(sys.prefix) / "jemalloc" / "libjemalloc.so.2"
    return str(unpacked) if unpacked.exists() else find_library("jemalloc")


def plain_path(path: Path, link: Path) -> Path:
    """The path where it is of characters that Triton can take, else a link to it, made at `link`.

    Triton starts a Python model's process by a command of a shell, unquoted, with the model's path in it.
    """
    if is_plain(path):
        return path
    link.symlink_to(path)
    return link


def is_plain(path: Path) -> bool:
    """Whether a path is of characters that mean nothing to a shell; `plain_path` says why."""
    return _PLAIN.fullmatch(str(path)) is not None


def knows(home: Home, flag: str) -> bool:
    """Whether this tritonserver has the flag; later releases have more than 2.51."""
    asked = subprocess.run([home.binary, "--help"], env=home.environment, capture_output=True, text=True, check=False)
    return f"{flag} " in asked.stdout + asked.stderr


def command(home: Home, repository: Path, shm_prefix: str) -> list[str]:
    """The command line that serves `repository`, without the flags that say where it listens."""
    return [
        str(home.binary),
        f"--model-repository={repository}",
        f"--backend-directory={home.backends}",
        # Models change by publishing an index or by a restart, never through the API: Triton's own guide advises it.
        "--model-control-mode=none",
        # The configs are complete; without this, each Python model is started twice.
        "--disable-auto-complete-config",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        # p50 and p99 of each step over the last minute, for the board and the alerts.
        "--metrics-config=summary_latencies=true",
        "--metrics-config=summary_quantiles=0.5:0.01,0.99:0.001",  # quantile:error
        "--exit-timeout-secs=10",
        # They parse and format, no more: two are no slower than eight with 64 clients on two cores, and deep JSON can
        # make their stacks grow by 300 MiB each.
        "--http-thread-count=2",
    ]
