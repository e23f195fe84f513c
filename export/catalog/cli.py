"""Command line of `python -m export catalog …`: check, publish, and the generations of an index."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from malgil_core.catalog import reading as catalog
from malgil_core.index import history, reader
from malgil_core.index import writer as generations
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from export import ROOT
from export.catalog import embedding
from export.progress import bar

INDEX = ROOT / "index"
KEEP = 5  # generations left by a publish: the one that serves, and some to go back to
PAGE = "docs/catalogue.md describes the file."
LOOK_SECONDS = 1.0  # between two looks at a watched file


class CatalogCommandError(Exception):
    """What was asked cannot be done; the text says why."""


def add(commands: Any, repository_option: Callable[[argparse.ArgumentParser], None], console: Console) -> None:
    """Add the commands."""
    catalogs = commands.add_parser(
        "catalog",
        help="check and publish catalogues of services, and go back",
        description="A publish makes a generation of the index: immutable, checksummed, numbered. A running server "
        "takes up the one that index/CURRENT names, within two seconds and without a failed request.",
    )
    actions = catalogs.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[..., int], text: str, more: str = "") -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f"{text}. {more}")
        parser.set_defaults(run=lambda arguments: run(arguments, console))
        return parser

    check = action("check", _check, "Validate a catalogue and say what is wrong in which line", PAGE)
    publish = action(
        "publish",
        _publish,
        "Embed a catalogue and make it the one that serves",
        f"Only new phrases are embedded. {PAGE}",
    )
    for parser in (check, publish):
        parser.add_argument("file", type=Path, help="the catalogue: JSON Lines, one service a line")
    publish.add_argument("--offline", action="store_true", help="embed in this process, not through the server")
    publish.add_argument("--url", default="127.0.0.1:8001", help="gRPC address of the server (default: %(default)s)")
    publish.add_argument("--watch", action="store_true", help="stay, and publish again whenever the file changes")
    publish.add_argument(
        "--default-threshold",
        type=_threshold,
        metavar="SCORE",
        help="least score of services without a threshold of their own, -1 to 1 (default: none)",
    )
    listing = action("list", _list, "List the generations")
    show = action(
        "show",
        _show,
        "Print a generation's catalogue, as a file that can be published again",
        "Example: `python -m export catalog show 41 > catalogue.jsonl`.",
    )
    diff = action("diff", _diff, "Say what changed between two generations")
    rollback = action(
        "rollback",
        _rollback,
        "Publish an older generation once more, under a new number",
        "Twice without a number is there and back: to go further back, name one that `list` shows.",
    )
    verify = action("verify", _verify, "Load every generation as a scorer would", "Exit status 1 if one is bad.")
    show.add_argument("number", type=int, nargs="?", help="of the generation (default: the one that serves)")
    diff.add_argument("before", type=int, help="number of the older one")
    diff.add_argument("after", type=int, nargs="?", help="number of the newer one (default: the one that serves)")
    rollback.add_argument("number", type=int, nargs="?", help="which (default: the sound one before that serves now)")
    for parser in (publish, rollback):
        parser.add_argument("--keep", type=_positive, default=KEEP, help="generations kept (default: %(default)s)")
        repository_option(parser)
    for parser in (publish, listing, show, diff, rollback, verify):
        parser.add_argument("--index", type=Path, default=INDEX, help="index folder (default: index)")


def _check(arguments: argparse.Namespace, console: Console) -> int:
    services = catalog.read(arguments.file)
    console.print(f"{arguments.file}: {len(services)} services, {sum(s.open for s in services)} open")
    return 0


def _publish(arguments: argparse.Namespace, console: Console) -> int:
    if not arguments.watch:
        _publish_once(arguments, console)
        return 0
    published: bytes | None = None
    refused: str | None = None
    while True:
        try:
            content = arguments.file.read_bytes()
            if content != published:
                _publish_once(arguments, console)
                published, refused = content, None
        except (catalog.CatalogError, embedding.OtherEncoderError, CatalogCommandError, OSError) as error:
            if str(error) != refused:  # once, not every second
                console.print(escape(f"{error}\nthe last good generation still serves"), soft_wrap=True)
            refused = str(error)
        time.sleep(LOOK_SECONDS)


def _publish_once(arguments: argparse.Namespace, console: Console) -> None:
    import malgil

    services = catalog.read(arguments.file)
    metadata = encoder_metadata(arguments.repository)
    with bar("embedding", console) as advance:
        if arguments.offline:
            embed = embedding.offline(arguments.repository, advance)
        else:
            embed = embedding.online(arguments.url, arguments.repository, advance)
        try:
            number = generations.publish(services, arguments.index, metadata, embed, arguments.default_threshold)
        except malgil.MalgilError as error:
            hint = "Start `python -m server`, or publish with --offline"
            raise CatalogCommandError(f"{arguments.url}: {error}. {hint}") from None
    phrases = sum(len(service.texts) for service in services)
    opened = sum(service.open for service in services)
    console.print(f"generation {number} serves: {opened} open of {len(services)} services, {phrases} phrases")
    _collect(arguments, console)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    created = Column("created, UTC", no_wrap=True)
    table = Table(
        "number", "", created, "open", "phrases", "encoder", "threshold", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    encoders: dict[str, str] = {}
    for entry in history.entries(arguments.index):
        mark = "serves" if entry.serves else ""
        if entry.manifest is None:
            table.add_row(str(entry.number), mark, f"[red]{escape(str(entry.problem))}", "", "", "", "")
            continue
        own = entry.manifest
        opened = f"{own['open_services']}/{own['services']}"
        back = f" (again {own['rolled_back_to']})" if "rolled_back_to" in own else ""
        default = "" if own["default_threshold"] is None else f"{own['default_threshold']:g}"
        encoder = own["encoder"]["fingerprint"][:8]
        encoders[encoder] = own["encoder"]["name"]
        when = own["created"][:16].replace("T", " ")
        table.add_row(f"{entry.number}{back}", mark, when, opened, str(own["phrases"]), encoder, default)
    console.print(table)
    for encoder, name in encoders.items():  # once: names are long, and rows narrow
        console.print(escape(f"{encoder}: {name}"), soft_wrap=True)
    return 0


def _show(arguments: argparse.Namespace, console: Console) -> int:
    for line in history.services(arguments.index, history.resolve(arguments.index, arguments.number)):
        print(json.dumps(line, ensure_ascii=False))
    return 0


def _diff(arguments: argparse.Namespace, console: Console) -> int:
    before, after = (history.resolve(arguments.index, n) for n in (arguments.before, arguments.after))
    changes = history.diff(*(history.services(arguments.index, number) for number in (before, after)))
    for change in changes:
        console.print(f"{change.what} {change.service['id']} {escape(change.service['name'])}", soft_wrap=True)
        for name, (old, new) in change.fields.items():
            shown = (json.dumps(value, ensure_ascii=False) for value in (old, new))
            console.print(escape(f"  {name}: {' → '.join(shown)}"), soft_wrap=True)
    console.print(f"{len(changes)} services differ between generations {before} and {after}")
    return 0


def _rollback(arguments: argparse.Namespace, console: Console) -> int:
    fingerprint = encoder_metadata(arguments.repository)["fingerprint"]
    back, number = history.rollback(arguments.index, arguments.number, fingerprint)
    console.print(f"generation {number} serves: {back} again")
    _collect(arguments, console)
    return 0


def _verify(arguments: argparse.Namespace, console: Console) -> int:
    found = history.entries(arguments.index, thorough=True)
    for entry in found:
        mark = " (serves)" if entry.serves else ""
        console.print(escape(f"{entry.number}{mark}: {entry.problem or 'sound'}"), soft_wrap=True)
    current = reader.current(arguments.index)
    if current is not None and current not in [entry.number for entry in found]:
        console.print(f"CURRENT names {current}, which is not there")
        return 1
    return int(any(entry.problem for entry in found))


def _collect(arguments: argparse.Namespace, console: Console) -> None:
    removed = history.collect(arguments.index, arguments.keep)
    if removed:
        console.print(f"removed old generations: {', '.join(map(str, removed))}")


def encoder_metadata(repository: Path) -> dict[str, Any]:
    """What `encoder.json` says of the encoder in a repository.

    Raises:
        CatalogCommandError: it is missing or damaged; the text says what to run.
    """
    file = repository / "tokenizer" / "1" / "encoder.json"
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
        kinds = [type(metadata[name]) for name in ("name", "fingerprint", "dimension")]
        str(metadata["name"]).encode()  # not half a surrogate pair: the manifest is UTF-8
    except FileNotFoundError:
        raise CatalogCommandError(f"{file} is missing: run `python -m export encoder` first") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        kinds = []
    if kinds != [str, str, int]:
        raise CatalogCommandError(f"{file} is damaged: run `python -m export encoder` again")
    return dict(metadata)


def _threshold(text: str) -> float:
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from -1 to 1")
    return value


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
