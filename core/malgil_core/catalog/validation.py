"""Validation of the fields of a service or null topic, with a sentence for each problem: field, value, bound."""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic import ValidatorFunctionWrapHandler as Validate
from pydantic_core import ErrorDetails, PydanticCustomError

from malgil_core.catalog.errors import CatalogError, shown
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.validation import is_blank

MAX_ID = 2**53 - 1  # JavaScript's largest whole number: apps read ids as JSON


def _composed(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    try:
        size = len(composed.encode("utf-8"))
    except UnicodeEncodeError:
        raise _problem(f"is {shown(text)}: it holds half a surrogate pair") from None
    if size > MAX_TEXT_BYTES:
        raise _problem(f"is {size} bytes long: at most {MAX_TEXT_BYTES} are taken")
    return composed


def _not_blank(text: str) -> str:
    if not text.strip():
        raise _problem("is empty")
    if is_blank(text):
        raise _problem(f"is {json.dumps(text)[:60]}: it has no visible character")
    return text


def _different(value: Any, validate: Validate) -> list[str]:
    texts: list[str] = validate(value)
    seen: set[str] = set()
    for number, (text, written) in enumerate(zip(texts, value, strict=True), start=1):
        if text in seen:
            raise _problem(f"number {number} is {shown(written)}, which stands there already")
        seen.add(text)
    return texts


def _problem(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("problem", sentence)  # braces in it stay: there is no context to fill in


Id = Annotated[int, Field(ge=0, le=MAX_ID)]
AnyText = Annotated[str, AfterValidator(_composed)]
Text = Annotated[AnyText, AfterValidator(_not_blank)]


Phrases = Annotated[list[Text], Field(min_length=1), WrapValidator(_different)]


class _NullFields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    null: Literal[True]
    name: Text
    phrases: Phrases


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Id
    parent_id: Id | None = None
    service_id: Text
    name: Text
    path: Text
    open: bool
    phrases: Phrases
    memo: AnyText = ""
    surfaces: Annotated[list[Text], WrapValidator(_different)] = []
    threshold: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None


_ID = f"it must be a whole number from 0 to {MAX_ID}"
_TEXT, _TEXTS = "it must be a text", "it must be a list of texts"
WANTED = {
    "id": _ID,
    "parent_id": _ID,
    "open": "it must be true or false",
    "phrases": _TEXTS,
    "surfaces": _TEXTS,
    "threshold": "it must be from -1 to 1, or null",
    "null": "it must be true in a null topic, and is not there in a service",
}


def validate(value: Any) -> Service | NullTopic:
    """A service, or a null topic where the field `null` is there, from the value of a line.

    Raises:
        CatalogError: the line's problems, without its number.
    """
    if not isinstance(value, dict):
        raise CatalogError([f"a service is an object, not {type(value).__name__}"])
    model = _NullFields if "null" in value else _Fields
    try:
        fields = dict(model.model_validate(value))
    except ValidationError as error:
        raise CatalogError([_sentence(problem, model) for problem in error.errors(include_url=False)]) from None
    if model is _NullFields:
        return NullTopic(fields["name"], tuple(fields["phrases"]))
    return Service(**{**fields, "phrases": tuple(fields["phrases"]), "surfaces": tuple(fields["surfaces"])})


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind = error["type"]
    if kind == "string_unicode":
        return "a field's name holds half a surrogate pair"
    field, *item = error["loc"]
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        of = "the fields" if model is _Fields else "those of a null topic"
        return f"unknown field {str(field)[:60]!r}; {of} are {', '.join(model.model_fields)}"
    if kind == "too_short":
        return f"{field} is empty: at least 1 is needed"
    place, wanted = (f"{field} number {int(item[0]) + 1}", _TEXT) if item else (field, WANTED.get(str(field), _TEXT))
    return f"{place} {error['msg']}" if kind == "problem" else f"{place} is {shown(error['input'])}: {wanted}"
