"""Steps of the loop: each is a folder with what it made, and a file that says of what.

    loop/training-3f2a9c01d4e8/step.json    {"step": "training", "inputs": {"pairs.jsonl": …}, …}

The folder's name is a hash of the inputs, so that a step whose inputs did not change is found, and not run again. A
step works in a folder with the suffix `.part`, which gets its name when everything is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from malgil_core.checksums import sha256

from export import ROOT
from feedback.errors import FeedbackError
from feedback.files import holding

FILE = "step.json"
_KEY_DIGITS = 12

Work = Callable[[Path], Mapping[str, Any]]  # makes everything in a folder; figures for the step's file


@dataclass(frozen=True)
class Step:
    """A step that can be run.

    Attributes:
        name: of the step.
        inputs: what it is made of, file or option → hash or value.
        says: what it does, for people: the commands that it runs.
        work: does it.
    """

    name: str
    inputs: Mapping[str, str]
    says: Sequence[str]
    work: Work

    @property
    def key(self) -> str:
        """Equal for equal inputs."""
        text = json.dumps([self.name, dict(self.inputs)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """Of the folder that it makes."""
        return f"{self.name}-{self.key[:_KEY_DIGITS]}"


@dataclass(frozen=True)
class Done:
    """A step that was run; the content of its file.

    Attributes:
        step: its name.
        folder: what it made.
        inputs: as of the step.
        outputs: its files → their sha256.
        commands: that were run.
        figures: what came of it.
        started: when, in UTC.
        seconds: that it took.
    """

    step: str
    folder: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    commands: Sequence[str]
    figures: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0

    def hash_of(self, *names: str) -> str:
        """One hash of the outputs that are, or are below, these paths."""
        found = {
            file: checksum for file, checksum in self.outputs.items()
            if any(file == name or file.startswith(f"{name}/") for name in names)
        }  # fmt: skip
        return combined(found)


def find(root: Path, step: Step) -> Done | None:
    """What a step made before; None if it was not run with these inputs, or a file of it is gone or another."""
    folder = root / step.folder_name
    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
        done = Done(**{**value, "folder": folder})
        sound = all(sha256(folder / name) == checksum for name, checksum in done.outputs.items())
    except (OSError, ValueError, TypeError):
        return None
    return done if sound and dict(done.inputs) == dict(step.inputs) else None


def run(root: Path, step: Step) -> Done:
    """Run a step, whatever it made before.

    Raises:
        FeedbackError: a command of it failed; nothing is left but the folder `.part`.
    """
    folder = root / step.folder_name
    part = folder.with_name(f"{folder.name}.part")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    part.mkdir(parents=True)
    began, started = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    figures = step.work(part)
    outputs = {name: sha256(part / name) for name in files(part)}
    seconds = round(time.monotonic() - began, 1)
    done = Done(step.name, folder, step.inputs, outputs, list(step.says), figures, started, seconds)
    text = json.dumps({**asdict(done), "folder": folder.name}, ensure_ascii=False, indent=1)
    (part / FILE).write_text(text + "\n", encoding="utf-8")
    part.rename(folder)
    return done


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Exclude another loop in the same folder.

    Raises:
        FeedbackError: one is running.
    """
    root.mkdir(parents=True, exist_ok=True)
    with holding(root / ".lock", f"{root}: another loop is running in it"):
        yield


def files(folder: Path) -> list[str]:
    """The files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def hash_of(path: Path) -> str:
    """The hash of a file, or of all files of a folder with their names.

    Raises:
        FeedbackError: it is not there.
    """
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise FeedbackError(f"{path} is not there")
    return combined({name: sha256(path / name) for name in files(path)})


def combined(hashes: Mapping[str, str]) -> str:
    """One hash of several, with their names."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def command(words: Sequence[str], output: Path | None = None) -> None:
    """Run `python -m …` from the project's root; its standard output goes into a file, if one is named.

    Raises:
        FeedbackError: it failed.
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(output.open("wb")) if output else None
        ended = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=stream, check=False)
    if ended.returncode:
        raise FeedbackError(f"{shown(words)} ended with status {ended.returncode}: the loop stops here")


def shown(words: Sequence[str]) -> str:
    """A command as people type it."""
    return shlex.join(["python", "-m", *words])
