"""The prompt: a text file with placeholders such as $name, filled with a service, its neighbours and examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service

from export.suggest.errors import SuggestError
from export.suggest.nearness import Neighbour

OURS = Path(__file__).with_name("prompt.md")
PLACEHOLDERS = ("name", "path", "memo", "phrases", "neighbours", "examples", "count")
EXAMPLES = 4  # services whose phrases are shown as examples
MOST_PHRASES = 40  # of the service itself
MEMO = 1000  # characters of it
SIZE = 64 * 1024  # bytes of a prompt's file, at most
_QUESTION = re.compile(r"\?$|어디|어떻게|뭐|언제|왜|얼마|있어$|까$|나요$|해요$")


def read(file: Path) -> Template:
    """The template in a file.

    Raises:
        SuggestError: it cannot be read, or a $ in it starts no placeholder that there is.
    """
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SuggestError("prompt", f"{file} cannot be read: {reason}") from None
    if len(content) > SIZE:
        raise SuggestError("prompt", f"{file} is {len(content)} bytes long: a prompt has at most {SIZE}")
    template = Template(text)
    there = ", ".join(f"${name}" for name in PLACEHOLDERS)
    if not template.is_valid():
        raise SuggestError("prompt", f"{file}: a $ starts no placeholder: write $$ for a dollar; there are {there}")
    if unknown := [name for name in template.get_identifiers() if name not in PLACEHOLDERS]:
        raise SuggestError("prompt", f"{file}: no placeholder ${unknown[0]}; there are {there}")
    if not text.strip():
        raise SuggestError("prompt", f"{file} is empty")
    return template


def fill(template: Template, service: Service, catalog: Catalog, neighbours: Sequence[Neighbour], count: int) -> str:
    """The prompt for a service.

    Args:
        template: as `read` gives it.
        service: that phrases are asked for.
        catalog: where the examples come from.
        neighbours: services that the model is told to stay off.
        count: phrases that are asked for.
    """
    return template.substitute(
        name=service.name,
        path=service.path,
        memo=_line(service.memo)[:MEMO] or "없음",
        phrases=_list(service.phrases[:MOST_PHRASES]),
        neighbours=_list(f"{one.service.name}: {' / '.join(one.phrases)}" for one in neighbours),
        examples=_list(f"{one.name}: {' / '.join(phrases)}" for one, phrases in examples(catalog, service, neighbours)),
        count=count,
    )


def examples(
    catalog: Catalog, service: Service, neighbours: Sequence[Neighbour], most: int = EXAMPLES
) -> list[tuple[Service, list[str]]]:
    """Services whose phrases show how phrases are written, with a few of each: keywords, questions, everyday words.

    Those with the most kinds of phrases, neither the service itself nor its neighbours.
    """
    near = {service.id, *(one.service.id for one in neighbours)}
    found = [(one, _varied(one)) for one in catalog.services if one.open and one.id not in near]
    return sorted(found, key=lambda pair: -len(pair[1]))[:most]


def _varied(service: Service) -> list[str]:
    """A service's first keyword, first question and first other sentence."""
    first: dict[str, str] = {}
    for phrase in service.phrases:
        kind = "question" if _QUESTION.search(phrase) else "keyword" if len(phrase) <= 6 else "sentence"
        first.setdefault(kind, phrase)
    return list(first.values())


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_line(item)}" for item in items) or "없음"


def _line(text: str) -> str:
    return " ".join(text.split())
