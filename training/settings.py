"""What a training is made of: data sets, losses, weights and numbers; read from a recipe, overridden by options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import tomllib
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from export import ROOT
from training.data.kinds import KINDS
from training.errors import TrainingError

RECIPES = Path(__file__).parent / "recipes"
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSet(BaseModel):
    """A file to train on.

    Attributes:
        kind: one of KINDS.
        file: where it is.
        loss: one of the kind's; its first if none is named.
        licence: for the card.
    """

    model_config = _STRICT

    kind: str
    file: Path = Field(strict=False)
    loss: str = ""
    licence: str = "not stated"

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"it must be {', '.join(KINDS)}")
        return value

    @model_validator(mode="after")
    def _loss_of_kind(self) -> DataSet:
        if self.loss and self.loss not in KINDS[self.kind].losses:
            raise ValueError(f"loss {self.loss!r} of {self.kind}: it must be {', '.join(KINDS[self.kind].losses)}")
        return self

    @property
    def trained_with(self) -> str:
        """The loss."""
        return self.loss or KINDS[self.kind].losses[0]

    @property
    def name(self) -> str:
        """Kind and loss, for tables."""
        return f"{self.kind}, {self.trained_with}"


class Settings(BaseModel):
    """Numbers and data sets of a training; see `python -m training encoder --help` for each."""

    model_config = _STRICT

    data: tuple[DataSet, ...] = Field((), strict=False)
    layers: int | None = Field(None, ge=1)
    lora: int | None = Field(None, ge=1, le=256)
    steps: int = Field(1000, ge=1)
    batch_size: int = Field(64, ge=2, le=65536)
    learning_rate: float = Field(2e-5, gt=0, le=1)
    warmup: float = Field(0.1, ge=0, le=1)
    scale: float = Field(20.0, gt=0, le=1000)
    margin: float = Field(1.0, gt=0, le=10)
    hard_negatives: float = Field(0.0, ge=0, le=1)
    false_negative_margin: float = Field(0.0, ge=-1, le=1)
    grad_cache: int | None = Field(None, ge=1)
    max_length: int = Field(128, ge=8)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = Field(0, ge=0, lt=2**32)


def recipe(name: str) -> dict[str, Any]:
    """The content of a recipe: one of `training/recipes/` by its name, or a file.

    Raises:
        TrainingError: there is none, or it is not TOML.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"recipe {name}: there is none; there are {known}, or name a .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not TOML: {error}") from None


def settings(values: dict[str, Any], where: str) -> Settings:
    """Settings of a recipe's values and options.

    Raises:
        TrainingError: a value is out of its bounds; the text names `where` it stands, the field, the value and the
            bound.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
        if first["type"] == "extra_forbidden":
            reason = f"it is not known; known are {', '.join(Settings.model_fields)}"
        value = json.dumps(first["input"], ensure_ascii=False, default=str)[:60]
        raise TrainingError(f"{where}: {field} is {value}: {reason}") from None


def located(data: list[dict[str, Any]], folder: Path | None) -> tuple[list[dict[str, Any]], list[str]]:
    """A recipe's data sets with paths that are files, and those that are not there.

    A catalog's path starts at the project's root, any other's at `folder`.
    """
    found, absent = [], []
    for one in data:
        base = ROOT if one.get("kind") == "catalog" else folder
        path = None if base is None else base / str(one.get("file"))
        if path is not None and path.is_file():
            found.append({**one, "file": path})
        else:
            absent.append(str(one.get("file")))
    return found, absent
