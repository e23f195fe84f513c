"""A settings file: what `catalog calibrate` chose for an encoder, and `catalog publish` stores with a generation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from malgil_core.catalog.service import Service
from malgil_core.checksums import sha256
from malgil_core.index.writer import Calibrated
from malgil_core.lexical.index import Weights
from malgil_core.ranking.margin import NullSettings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from export.errors import ExportError

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
Score = Annotated[float, Field(ge=-1, le=1)]
_Weights: Any = create_model(
    "_Weights",
    __config__=_STRICT,
    **{field.name: (Annotated[float, Field(ge=0, lt=1)], ...) for field in fields(Weights)},  # type: ignore[call-overload]
)


class SettingsError(ExportError):
    """A settings file that cannot be used; the text names file, field, value and bound."""


class Encoder(BaseModel):
    """The encoder that settings were made for; the source's fingerprint is empty if the export did not record it."""

    model_config = _STRICT

    name: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    source_fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class Threshold(BaseModel):
    """A service's threshold instead of the one that the catalog had; once that one is edited, it counts again."""

    model_config = _STRICT

    id: Annotated[int, Field(ge=0)]
    catalog: Score
    threshold: Score


class Null(BaseModel):
    """Limits of null phrases (see malgil_core.ranking.margin.NullSettings); a floor of -1 is none."""

    model_config = _STRICT

    loss: Annotated[float, Field(ge=0, le=1)]
    margin: Annotated[float, Field(ge=0, le=2)] | None
    floor: Score | None


class Settings(BaseModel):
    """The content of a settings file.

    Attributes:
        version: of the file's format.
        encoder: whose scores all of this is about.
        created: when it was made.
        weights: of lexical matches.
        default_threshold: for services without a threshold in the catalog.
        thresholds: of services that have one in the catalog.
        null: limits of null phrases; None leaves them to the publish.
        figures: what it was chosen by, and for people alone: after each step, of the queries that nothing was tuned on.
    """

    model_config = _STRICT

    version: Literal[1]
    encoder: Encoder
    created: datetime
    weights: _Weights
    default_threshold: Score | None
    thresholds: list[Threshold]
    null: Null | None
    figures: dict[str, dict[str, float]]

    @field_validator("thresholds")
    @classmethod
    def _each_once(cls, value: list[Threshold]) -> list[Threshold]:
        seen: set[int] = set()
        for one in value:
            if one.id in seen:
                raise ValueError(f"service {one.id} stands there twice")
            seen.add(one.id)
        return value

    @property
    def null_settings(self) -> NullSettings:
        """What the publish is told of the limits of null phrases."""
        return NullSettings(**self.null.model_dump()) if self.null else NullSettings()


@dataclass(frozen=True)
class Choices:
    """What a publish was told, of options and of the settings file together."""

    default_threshold: float | None = None
    null: NullSettings = field(default_factory=NullSettings)
    calibrated: Calibrated = field(default_factory=Calibrated)


@dataclass(frozen=True)
class SettingsFile:
    """A settings file that was read.

    Attributes:
        path: where it is.
        settings: its content.
        checksum: SHA-256 of its bytes.
    """

    path: Path
    settings: Settings
    checksum: str

    def calibrated(self, services: Sequence[Service]) -> tuple[Calibrated, list[str]]:
        """What is stored with a generation of these services, and a note for each threshold that no longer counts."""
        in_catalog = {service.id: service.threshold for service in services}
        thresholds, notes = {}, []
        for one in self.settings.thresholds:
            if one.id not in in_catalog:
                notes.append(f"{self.path}: threshold of service {one.id} is left out: the catalog has no such service")
            elif in_catalog[one.id] != one.catalog:
                now = json.dumps(in_catalog[one.id])
                notes.append(
                    f"{self.path}: threshold of service {one.id} is left out: the catalog's was {one.catalog:g} "
                    f"when it was calibrated, is {now} now, and counts"
                )
            else:
                thresholds[one.id] = one.threshold
        created = self.settings.created.isoformat(timespec="seconds")
        weights = Weights(**self.settings.weights.model_dump())
        return Calibrated(weights, thresholds, {"created": created, "sha256": self.checksum}), notes

    def choices(self, services: Sequence[Service]) -> tuple[Choices, list[str]]:
        """What a publish of these services with this file and no options is told; notes as `calibrated` has them."""
        calibrated, notes = self.calibrated(services)
        return Choices(self.settings.default_threshold, self.settings.null_settings, calibrated), notes


def read(path: Path, fingerprint: str) -> SettingsFile:
    """The settings in a file.

    Args:
        path: of the file.
        fingerprint: of the exported encoder.

    Raises:
        OSError: it cannot be read.
        SettingsError: a field is unknown, missing or out of bounds, or they were made for another encoder.
    """
    found = read_any(path)
    made_for = found.settings.encoder.fingerprint
    if made_for != fingerprint:
        raise SettingsError(
            f"{path}: encoder.fingerprint is {made_for[:12]}…, that of the exported encoder "
            f"{fingerprint[:12]}…: scores of two encoders differ, so calibrate again (`catalog calibrate`)"
        )
    return found


def read_any(path: Path) -> SettingsFile:
    """The settings in a file, whatever encoder they were made for; raises as `read` does."""
    try:
        settings = Settings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SettingsError("\n".join(f"{path}: {_sentence(one)}" for one in error.errors(include_url=False))) from None
    return SettingsFile(path, settings, sha256(path))


def check_folder(path: Path) -> None:
    """Check that a settings file can be written.

    Raises:
        SettingsError: its folder is not there.
    """
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"--write: {path.parent} is not a folder")


def write(path: Path, settings: Settings) -> None:
    """Write a settings file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def as_weights(weights: Weights) -> Any:
    """The field `weights`."""
    return _Weights(**asdict(weights))


def _sentence(error: Any) -> str:
    """A problem: field, value, bound."""
    field = ".".join(str(part) for part in error["loc"])
    kind, reason = error["type"], error["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
    if kind == "json_invalid":
        return f"not JSON: {error['ctx']['error']}"
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"unknown field {field[:60]!r}"
    if kind == "value_error":
        return f"{field}: {reason}"
    value = json.dumps(error["input"], ensure_ascii=False, default=str)[:60]
    return f"{field} is {value}: {reason}" if field else f"settings are {value}: {reason}"
