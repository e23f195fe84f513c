"""The arguments of the `malgil` command, and its help."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from malgil._base import DEFAULT_URL

_MAIN_HELP = """\
examples:
  malgil search "돈 보내기"
  malgil search "카드값" --top-k 3 --min-score 0.8
  malgil search "이체 한도" --all
  malgil suggest "송ㄱ"
  malgil documents "해외에서 카드가 안 돼요"
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
  malgil search "송ㄱ" --explain                with the dense and the lexical score of each hit
  malgil search "오늘 날씨" --explain           why there is no hit: what the app does not do
  malgil search "오늘 날씨" --no-null-phrases   the nearest hits nevertheless
  malgil search "대출" --json                   {"generation": 7, "hits": [{"id": …, "name": …, …}, …]}
  malgil search "이체 한도" --all               services, and articles below them
  malgil search "이체 한도" --all --documents-filter '{"category": "송금"}' --documents-deadline-ms 500
  malgil search "이체 한도" --all --json        {"services": {"hits": […], …}, "documents": {"status": "ok", …}}
"""

_SUGGEST_HELP = """\
examples:
  malgil suggest "송ㄱ"                         five texts that it may become, each with its service
  malgil suggest "ㄷㅊ" --top-k 10              ten, of initials
  malgil suggest "zkem" --surface RECO          typed with the wrong keyboard layout; only services exposed on RECO
  malgil suggest "카드" --json                  {"generation": 7, "suggestions": [{"text": …, "id": …, …}, …]}
"""

_DOCUMENTS_HELP = """\
Where the server has no engine for documents, or the engine is down or too slow, a sentence says so; the exit code is 0.

examples:
  malgil documents "이체 한도 늘리기"                                   the five best, each with a snippet
  malgil documents "수수료" --filter '{"category": ["송금", "환전"]}'   only articles of these categories
  malgil documents "수수료" --filter '{"surface": "HELP", "updated_from": "2025-01-01"}'
  malgil documents "해외 결제" --top-k 20 --deadline-ms 1000            more of them, and a second to find them
  malgil documents "해외 결제" --json                                   {"status": "ok", "documents": [{"id": …, …}, …]}
  malgil documents "해외 결제" --json | jq -r '.documents[].url'
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; `command` is the name of the command. Exits with 2 where they are wrong."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "search" and not arguments.all:
        for name in ("documents_top_k", "documents_filter", "documents_deadline_ms"):
            if getattr(arguments, name) is not None:
                parser.error(f"--{name.replace('_', '-')} goes with --all")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "malgil",
        description="Search a Malgil server for the service, menu, page or article that a Korean sentence means.",
        epilog=_MAIN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"malgil {version('malgil')}")
    common = _common()
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")

    def add(name: str, **texts: Any) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, parents=[common], formatter_class=argparse.RawDescriptionHelpFormatter, **texts
        )

    search = add("search", help="search and print the hits", epilog=_SEARCH_HELP)
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
    search.add_argument("--all", action="store_true", help="services and documents, found in one request")
    _add_documents(search.add_argument_group("documents", "with --all"), "documents-")

    suggest = add("suggest", help="print texts that what is being typed may become", epilog=_SUGGEST_HELP)
    suggest.add_argument("typed", help="the text as far as it is typed")
    suggest.add_argument("--top-k", type=int, default=5, metavar="K", help="maximum number of suggestions (default: 5)")
    suggest.add_argument("--surface", help="only services exposed on this surface, such as RECO")
    suggest.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    documents = add("documents", help="search articles and print them with snippets", epilog=_DOCUMENTS_HELP)
    documents.add_argument("query", help="the text to search for, as people say or type it")
    _add_documents(documents, "")
    documents.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    add("probe", help="health check: exit 0 if a real search is answered in time, else 1", description=_PROBE_HELP)
    return parser


def _common() -> argparse.ArgumentParser:
    """The options of every command: the server, and how to reach it."""
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
    return common


def _add_documents(parser: argparse._ActionsContainer, prefix: str) -> None:
    """The options of a search for documents; `prefix` begins their names."""
    parser.add_argument(
        f"--{prefix}top-k", type=int, metavar="K", help="maximum number of documents, 1 to 20 (default: 5)"
    )
    parser.add_argument(
        f"--{prefix}filter",
        type=_filter,
        metavar="JSON",
        help="only documents that fit an object of category (one or a list), surface, updated_from, updated_to",
    )
    parser.add_argument(
        f"--{prefix}deadline-ms", type=int, metavar="MS", help="how long to wait for them (default: the server's, 150)"
    )


def _filter(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text} is no object, such as {{"category": "송금"}}')
    return value
