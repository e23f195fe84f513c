"""Reading of a catalog: JSON Lines, one service a line, each problem named by its line.

    {"id": 12, "parent_id": 3, "service_id": "transfer-account", "name": "계좌 송금", "path": "송금 > 계좌 송금",
     "open": true, "phrases": ["이체", "다른 사람에게 돈을 보내는 기능"], "memo": "", "surfaces": ["SEARCH", "RECO"],
     "threshold": 0.87}

`parent_id`, `memo`, `surfaces` and `threshold` can be left out. The name is a phrase too.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from malgil_core.catalog.errors import CatalogError, shown
from malgil_core.catalog.relations import Numbered, relations
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate

__all__ = ["CatalogError", "Service", "parse", "read"]


def read(path: Path) -> list[Service]:
    """The services in a catalog file.

    Raises:
        CatalogError: every problem that was found, each with its line.
        OSError: the file cannot be read.
    """
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, source: str) -> list[Service]:
    """The services in a catalog's content; `source` is its name in errors."""
    problems: list[str] = []
    services: list[Numbered] = []
    lines = enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1)
    for number, line in ((number, line) for number, line in lines if line.strip()):
        if line.lstrip().startswith(b"[") and not services and not problems:
            problems.append(f"{source}:{number}: an array: a catalog has one service a line, without [, ] and commas")
            break
        try:
            services.append((number, _service(line)))
        except CatalogError as error:
            problems += [f"{source}:{number}: {problem}" for problem in error.problems]
    problems += [f"{source}:{number}: {problem}" for number, problem in relations(services)]
    if not services and not problems:
        problems.append(f"{source}: no services")
    if problems:
        raise CatalogError(problems)
    return [service for _, service in services]


def _service(line: bytes) -> Service:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise CatalogError([f"not UTF-8: {error.reason} at byte {error.start}"]) from None
    except json.JSONDecodeError as error:
        raise CatalogError([f"not JSON: {error.msg} at column {error.colno}"]) from None
    except CatalogError:
        raise
    except (ValueError, RecursionError) as error:  # numbers too long, objects too deep
        raise CatalogError([str(error)]) from None
    return validate(value)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise CatalogError(
            [f"field {shown(name)} stands there {count} times" for name, count in counts.items() if count > 1]
        )
    return fields
