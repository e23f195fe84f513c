"""The `malgil` command."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from malgil._access import Tls
from malgil._base import DEFAULT_URL
from malgil._client import SearchClient
from malgil._errors import BadRequest, DeadlineExceeded, Forbidden, MalgilError, Overloaded, Unavailable
from malgil._results import SearchResult
from malgil._table import scope, table

_EXIT_CODES: dict[type[Exception], int] = {
    BadRequest: 3,
    Overloaded: 4,
    Unavailable: 5,
    DeadlineExceeded: 6,
    Forbidden: 7,
    MalgilError: 1,
    ValueError: 2,
}

_MAIN_HELP = """\
examples:
  malgil search "돈 보내기"
  malgil search "카드값" --top-k 3 --min-score 0.8
  malgil search "환전" --url http://search.internal:8000 --json | jq .hits[0].path
  malgil probe --timeout 2
  malgil probe --url grpcs://search.internal:8001 --tls-ca ca.pem --key-file key

environment, used where the option is not given:
  MALGIL_URL       --url
  MALGIL_TLS_CA    --tls-ca      MALGIL_TLS_CERT  --tls-cert
  MALGIL_TLS_KEY   --tls-key     MALGIL_TLS_NAME  --tls-name
  MALGIL_KEY       the key itself; no option takes it, since other users can list command lines

exit codes:
  0  done    1  server error, or the probe failed    2  wrong usage
  3  the server refused the arguments    4  overloaded    5  unavailable    6  no answer in time
  7  the key is missing or wrong
"""

_SEARCH_HELP = """\
examples:
  malgil search "돈 보내기" --top-k 5           the five best, as a table
  malgil search "돈 보내기" --surface RECO      only services exposed on RECO
  malgil search "ㅋㄷ" --min-score 0.8          only hits that score at least 0.8
  malgil search "송ㄱ" --explain               with the dense and the lexical score of each hit
  malgil search "오늘 날씨" --explain           why there is no hit: what the app does not do
  malgil search "오늘 날씨" --no-null-phrases   the nearest hits nevertheless
  malgil search "대출" --json                   {"generation": 7, "hits": [{"id": …, "name": …, …}, …]}
"""

_PROBE_HELP = """\
Runs a real search, because Triton still reports ready after a model's process has died.

examples:
  HEALTHCHECK CMD malgil probe --timeout 2                      in a Dockerfile
  exec: {command: [malgil, probe, --timeout, "2"]}              in a Kubernetes probe
"""

_SECURE = [
    ("tls-ca", "FILE", "certificates of the authorities to trust (PEM)"),
    ("tls-cert", "FILE", "the client's certificate (PEM)"),
    ("tls-key", "FILE", "its private key (PEM, not encrypted)"),
    ("tls-name", "NAME", "name in the server's certificate, where --url has another one"),
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with SearchClient(arguments.url, timeout=arguments.timeout, tls=_tls(arguments), key=_key(arguments)) as client:
            return int(arguments.run(client, arguments))
    except KeyboardInterrupt:
        return 130
    except (MalgilError, ValueError) as error:  # a ValueError that is no MalgilError is about an option
        # One sentence: after the first line the server sends its traceback.
        print(f"malgil: {str(error).splitlines()[0]}", file=sys.stderr)
        if arguments.run is _probe:
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


def _search(client: SearchClient, arguments: argparse.Namespace) -> int:
    result = client.search(
        arguments.query,
        top_k=arguments.top_k,
        surface=arguments.surface,
        min_score=arguments.min_score,
        null_phrases=False if arguments.no_null_phrases else None,
        explain=arguments.explain,
    )
    if arguments.json:
        print(_json(result))
    elif result:
        print(table(result))
    else:
        print("no hits")
    if arguments.explain and not arguments.json and (reason := scope(result)):
        print(reason)
    return 0


def _probe(client: SearchClient, _: argparse.Namespace) -> int:
    started = time.monotonic()
    generation = client.generation()
    print(f"ready: generation {generation}, answered in {(time.monotonic() - started) * 1000:.0f} ms")
    return 0


def _json(result: SearchResult) -> str:
    # A float32 has seven digits; the further digits of a Python float would be noise.
    hits = [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(hit).items()
            if value is not None  # scores that were not requested
        }
        for hit in result
    ]
    answer: dict[str, object] = {"generation": result.generation, "hits": hits}
    if result.refused_by is not None:
        null = result.null and {**dataclasses.asdict(result.null), "score": round(result.null.score, 6)}
        answer |= {"refused_by": result.refused_by, "null": null}
    return json.dumps(answer, ensure_ascii=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "malgil",
        description="Search a Malgil server for the service, menu or page that a Korean sentence means.",
        epilog=_MAIN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"malgil {version('malgil')}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--url",
        default=os.environ.get("MALGIL_URL") or DEFAULT_URL,
        help="[grpc[s]://]HOST:PORT or http[s]://HOST:PORT (default: MALGIL_URL, or localhost:8001)",
    )
    common.add_argument(
        "--timeout", type=float, default=5.0, metavar="S", help="seconds, retries included (default: 5)"
    )
    secure = common.add_argument_group("TLS and keys", "if the server requires them; see malgil --help for variables")
    for option, metavar, text in _SECURE:
        value = os.environ.get(f"MALGIL_{option.replace('-', '_').upper()}") or None
        secure.add_argument(f"--{option}", default=value, metavar=metavar, help=text)
    secure.add_argument("--key-file", metavar="FILE", help="file that contains the server's key")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    search = commands.add_parser(
        "search",
        parents=[common],
        help="search and print the hits",
        epilog=_SEARCH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    search.add_argument("query", help="the text to search for, as people say or type it")
    search.add_argument("--top-k", type=int, metavar="K", help="maximum number of hits (default: 10)")
    search.add_argument("--surface", help="only services exposed on this surface, such as RECO")
    search.add_argument("--min-score", type=float, metavar="X", help="only hits with a score of at least X")
    search.add_argument(
        "--no-null-phrases",
        action="store_true",
        help="answer also what is nearer to something that the app does not do",
    )
    search.add_argument(
        "--explain",
        action="store_true",
        help="also print the dense and the lexical score of each hit, and the nearest of what the app does not do",
    )
    search.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    search.set_defaults(run=_search)

    probe = commands.add_parser(
        "probe",
        parents=[common],
        help="health check: exit 0 if a real search is answered in time, else 1",
        description=_PROBE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    probe.set_defaults(run=_probe)
    return parser
