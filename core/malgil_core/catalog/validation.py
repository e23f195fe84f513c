"""Validation of the fields of a service or null topic, with a sentence for each problem: field, value, bound.

Codes of these problems: type (with the item's number, if it is one of a list), range, missing, unknown, too_few, empty,
invisible, surrogate, too_long (size, most) and twice (number, text).
"""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic import ValidatorFunctionWrapHandler as Validate
from pydantic_core import ErrorDetails, PydanticCustomError

from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.problems import Problem
from malgil_core.catalog.service import Service
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.validation import is_blank, shown

MAX_ID = 2**53 - 1  # JavaScript's largest whole number: apps read ids as JSON


def _composed(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    try:
        size = len(composed.encode("utf-8"))
    except UnicodeEncodeError:
        raise _problem("surrogate", f"is {shown(text)}: it holds half a surrogate pair") from None
    if size > MAX_TEXT_BYTES:
        sentence = f"is {size} bytes long: at most {MAX_TEXT_BYTES} are taken"
        raise _problem("too_long", sentence, size=size, most=MAX_TEXT_BYTES)
    return composed


def _not_blank(text: str) -> str:
    if not text.strip():
        raise _problem("empty", "is empty")
    if is_blank(text):
        raise _problem("invisible", f"is {json.dumps(text)[:60]}: it has no visible character")
    return text


def _different(value: Any, validate: Validate) -> list[str]:
    texts: list[str] = validate(value)
    seen: set[str] = set()
    for number, (text, written) in enumerate(zip(texts, value, strict=True), start=1):
        if text in seen:
            sentence = f"number {number} is {shown(written)}, which stands there already"
            raise _problem("twice", sentence, number=number, text=text)
        seen.add(text)
    return texts


def _problem(code: str, sentence: str, **params: Any) -> PydanticCustomError:
    return PydanticCustomError("problem", "see the context", {"code": code, "sentence": sentence, "params": params})


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
_BOUNDS = ("greater_than_equal", "less_than_equal", "finite_number", "int_parsing_size")


def validate(value: Any) -> Service | NullTopic:
    """A service, or a null topic where the field `null` is there, from the value of a line.

    Raises:
        CatalogError: the line's problems, without its number.
    """
    if not isinstance(value, dict):
        sentence = f"a service is an object, not {type(value).__name__}"
        raise CatalogError([Problem("", "type", value, sentence)])
    model = _NullFields if "null" in value else _Fields
    try:
        fields = dict(model.model_validate(value))
    except ValidationError as error:
        raise CatalogError([_told(problem, model) for problem in error.errors(include_url=False)]) from None
    if model is _NullFields:
        return NullTopic(fields["name"], tuple(fields["phrases"]))
    return Service(**{**fields, "phrases": tuple(fields["phrases"]), "surfaces": tuple(fields["surfaces"])})


def _told(error: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, value = error["type"], error["input"]
    if kind == "string_unicode":
        return Problem("", "surrogate", value, "a field's name holds half a surrogate pair")
    field, *item = error["loc"]
    name = str(field)
    if kind == "missing":
        return Problem(name, "missing", None, f"{name} is missing")
    if kind == "extra_forbidden":
        of = "the fields" if model is _Fields else "those of a null topic"
        sentence = f"unknown field {name[:60]!r}; {of} are {', '.join(model.model_fields)}"
        return Problem(name, "unknown", value, sentence)
    if kind == "too_short":
        return Problem(name, "too_few", value, f"{name} is empty: at least 1 is needed")
    params: dict[str, Any] = {"number": int(item[0]) + 1} if item else {}
    place, wanted = (f"{name} number {params['number']}", _TEXT) if item else (name, WANTED.get(name, _TEXT))
    if kind == "problem":
        context = error["ctx"]
        return Problem(name, context["code"], value, f"{place} {context['sentence']}", {**params, **context["params"]})
    code = "range" if kind in _BOUNDS else "type"
    return Problem(name, code, value, f"{place} is {shown(value)}: {wanted}", params)
