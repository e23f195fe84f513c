"""A variant: a model repository and an index of their own, beside those that serve."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata

from feedback.loop.settings import Settings
from feedback.loop.steps import Done, combined, files, shown

REPOSITORY, INDEX, SETTINGS = "model_repository", "index", "settings.json"
# What an export and a server make: not taken from the repository that serves.
_MADE = ("__pycache__", "*.tmp", ".*", "model.onnx*", "tokenizer.json", "encoder.json")
PORTS = ("--http-port", "8100", "--grpc-port", "8101", "--metrics-port", "8102")


def copy(repository: Path, target: Path) -> None:
    """Copy a model repository without its encoder: the scorer finds the index beside the copy."""
    shutil.copytree(repository, target, ignore=shutil.ignore_patterns(*_MADE))


def hash_of(repository: Path) -> str:
    """A hash of what `copy` copies."""
    kept = [name for name in files(repository) if not _is_made(Path(name))]
    return combined({name: sha256(repository / name) for name in kept})


def commands(
    encoder: Path, catalog: Path, suggestions: Path | None, queries: Sequence[Path], out: Path
) -> list[list[str]]:
    """What makes the variant in a folder: export, calibration where there are labelled queries, publish."""
    repository = ["--repository", str(out / REPOSITORY)]
    made = [["export", "encoder", str(encoder), *repository]]
    settings = []
    if queries:
        asked = [word for file in queries for word in ("--queries", str(file))]
        settings = ["--settings", str(out / SETTINGS)]
        made.append(
            ["export", "catalog", "calibrate", str(catalog), *asked, "--write", str(out / SETTINGS), *repository]
        )
    publish = ["export", "catalog", "publish", str(catalog), "--offline", *settings]
    publish += ["--suggestions", str(suggestions)] if suggestions else []
    return [*made, [*publish, *repository, "--index", str(out / INDEX)]]


def experiment(settings: Settings, made: Done, before: Mapping[str, Done]) -> dict[str, Any]:
    """The content of experiment.json: the two arms, and the commands of a person who wants to compare them."""
    variant = made.folder / REPOSITORY
    name = f"{settings.name}-{made.folder.name.rpartition('-')[2]}"
    serve = ["server", "--repository", str(variant), *PORTS, "--events", str(settings.events)]
    arms = {
        "a": _arm(settings.repository, settings.index, before["pairs"].figures["generation"]),
        "b": _arm(variant, made.folder / INDEX, made.figures["generation"]),
    }
    encoder, catalog = before["training"].folder, before["pairs"].folder / "catalog.jsonl"
    calibrated = ["--settings", str(made.folder / SETTINGS)] if (made.folder / SETTINGS).exists() else []
    repository = ["--repository", str(settings.repository)]
    export = ["export", "encoder", str(encoder / encoder.name), *repository]
    publish = ["export", "catalog", "publish", str(catalog), "--offline", *calibrated, *repository]
    publish += ["--index", str(settings.index)]
    events = ["--events", str(settings.events)]
    power = ["feedback", "power", "--effect", "0.02", "--from-events", "28", "--share", f"{settings.share:g}", *events]
    return {
        "name": name,
        "share": {"b": settings.share},
        "arms": arms,
        "evaluation": dict(before["evaluation"].figures),
        "serve": shown(serve),
        "app": (
            f"malgil.Experiment({name!r}, arms={{'a': SearchClient('localhost:8001', feedback=feedback), "
            f"'b': SearchClient('localhost:8101', feedback=feedback)}}, share={{'b': {settings.share:g}}}, key=key)"
        ),
        "power": shown(power),
        "compare": shown(["feedback", "compare", name, *events]),
        "keep": [shown(export), shown(publish)],
    }


def _arm(repository: Path, index: Path, generation: int) -> dict[str, Any]:
    fingerprint = EncoderMetadata.of(repository).fingerprint
    return {"repository": str(repository), "index": str(index), "generation": generation, "encoder": fingerprint}


def _is_made(path: Path) -> bool:
    return any(Path(part).match(pattern) for part in path.parts for pattern in _MADE)
