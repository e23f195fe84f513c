"""The `malgil` command."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from malgil._access import Tls
from malgil._client import SearchClient
from malgil._errors import BadRequest, DeadlineExceeded, Forbidden, MalgilError, Overloaded, Unavailable
from malgil._output import as_json, documents_table, scope, suggest_table, table
from malgil._parser import parse
from malgil._results import SearchResult, UnifiedResult

_EXIT_CODES: dict[type[Exception], int] = {
    BadRequest: 3,
    Overloaded: 4,
    Unavailable: 5,
    DeadlineExceeded: 6,
    Forbidden: 7,
    MalgilError: 1,
    ValueError: 2,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse(argv)
    try:
        with SearchClient(arguments.url, timeout=arguments.timeout, tls=_tls(arguments), key=_key(arguments)) as client:
            _COMMANDS[arguments.command](client, arguments)
            return 0
    except KeyboardInterrupt:
        return 130
    except (MalgilError, ValueError) as error:  # a ValueError that is no MalgilError is about an option
        # One sentence: after the first line the server sends its traceback.
        print(f"malgil: {str(error).splitlines()[0]}", file=sys.stderr)
        if arguments.command == "probe":
            return 1  # Docker knows 0 and 1 only
        return next(code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))


def _tls(arguments: argparse.Namespace) -> Tls | None:
    given = arguments.tls_ca, arguments.tls_cert, arguments.tls_key, arguments.tls_name
    return Tls(*given) if any(given) else None


def _key(arguments: argparse.Namespace) -> str | None:
    """The key in the file of --key-file, else in MALGIL_KEY, else None."""
    if arguments.key_file is None:
        return os.environ.get("MALGIL_KEY") or None
    try:
        return Path(arguments.key_file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ValueError(f"--key-file: {arguments.key_file} cannot be read: {reason}") from None


def _search(client: SearchClient, arguments: argparse.Namespace) -> None:
    options = {
        "top_k": arguments.top_k,
        "surface": arguments.surface,
        "min_score": arguments.min_score,
        "null_phrases": False if arguments.no_null_phrases else None,
        "explain": arguments.explain,
    }
    result: SearchResult | UnifiedResult
    if arguments.all:
        result = client.search_all(
            arguments.query,
            **options,
            documents_top_k=arguments.documents_top_k,
            documents_filter=arguments.documents_filter,
            documents_deadline_ms=arguments.documents_deadline_ms,
        )
    else:
        result = client.search(arguments.query, **options)
    if arguments.json:
        print(as_json(result))
        return
    services = result.services if isinstance(result, UnifiedResult) else result
    print(table(services))
    if reason := scope(services):
        print(reason)
    if isinstance(result, UnifiedResult):
        print()
        print(documents_table(result.documents, sys.stdout.isatty()))


def _suggest(client: SearchClient, arguments: argparse.Namespace) -> None:
    result = client.suggest(arguments.typed, top_k=arguments.top_k, surface=arguments.surface)
    print(as_json(result) if arguments.json else suggest_table(result))


def _documents(client: SearchClient, arguments: argparse.Namespace) -> None:
    result = client.search_documents(
        arguments.query, top_k=arguments.top_k, filter=arguments.filter, deadline_ms=arguments.deadline_ms
    )
    print(as_json(result) if arguments.json else documents_table(result, sys.stdout.isatty()))


def _probe(client: SearchClient, _: argparse.Namespace) -> None:
    started = time.monotonic()
    generation = client.generation()
    print(f"ready: generation {generation}, answered in {(time.monotonic() - started) * 1000:.0f} ms")


_COMMANDS = {"search": _search, "suggest": _suggest, "documents": _documents, "probe": _probe}
