"""server/Dockerfile without Docker: its instructions, and the folder that its COPY and `ln` lines make of a stage."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from export import ROOT

DOCKERFILE = ROOT / "server" / "Dockerfile"


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile, with the instructions of the stage that it is made from."""

    name: str
    instructions: list[tuple[str, str]]

    def values(self, instruction: str) -> list[str]:
        """What follows each of these instructions, in order."""
        return [value for name, value in self.instructions if name == instruction]

    def command(self, instruction: str) -> list[str]:
        """The words of an ENTRYPOINT, a CMD or a HEALTHCHECK in its exec form."""
        value = self.values(instruction)[-1]
        words: list[str] = json.loads(value[value.index("[") :])
        return words

    @property
    def environment(self) -> dict[str, str]:
        """What its ENV lines set."""
        return dict(pair.split("=", 1) for value in self.values("ENV") for pair in value.split())

    @property
    def copies(self) -> list[tuple[Path, str]]:
        """(source in the repository, target in the image) of each COPY."""
        words = [value.split() for value in self.values("COPY")]
        return [(ROOT / source, target) for *sources, target in words for source in sources]

    def lay_out(self, root: Path) -> Path:
        """Make the stage's working directory at `root`."""
        excluded = ignored()
        for source, target in self.copies:
            if source.is_file():
                shutil.copy2(source, root / target)
                continue

            def left_out(folder: str, names: list[str]) -> set[str]:
                return {name for name in names if Path(folder, name) in excluded}

            shutil.copytree(source, root / target, ignore=left_out, dirs_exist_ok=True)
        for line in self.values("RUN"):
            if line.startswith("ln "):
                subprocess.run(["sh", "-ec", line], cwd=root, check=True)
        return root


def stages() -> dict[str, Stage]:
    """The stages by name."""
    made: dict[str, Stage] = {}
    structure: list[dict[str, Any]] = DockerfileParser(str(DOCKERFILE)).structure
    for line in structure:
        if line["instruction"] == "FROM":
            base, *_, name = line["value"].split()
            stage = Stage(name, [*made[base].instructions] if base in made else [])
            made[stage.name] = stage
        elif made:
            stage.instructions.append((line["instruction"], line["value"]))
    return made


def ignored() -> set[Path]:
    """What .dockerignore keeps out of the images."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


STAGES = stages()
