"""What `suggest propose` does: embeds, asks for each service, prints tables, writes the file of proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import malgil
from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.building import embedded, known_vectors
from malgil_core.index.writer import Embed, Vectors
from rich.table import Table
from rich.text import Text

from export.catalog import embedding
from export.catalog.access import Access
from export.console import CONSOLE
from export.errors import ExportError
from export.suggest.errors import Code, SuggestError
from export.suggest.file import lines
from export.suggest.progress import Progress, Step
from export.suggest.proposals import Near, Proposal
from export.suggest.proposing import suggest
from export.suggest.settings import Settings

# What the next service would end in, too.
FATAL: tuple[Code, ...] = ("settings", "prompt", "unreachable", "key", "model", "busy")
SAID: Mapping[str, str] = {
    "embedding": "embedding the catalog",
    "asking": "waiting for the model",
    "again": "trying again after {step.detail}",
    "plain": "asking again without a schema",
    "answering": "{step.amount} characters",
    "checking": "checking",
}


class Remembering:
    """Embeds each text once. Called with texts, it gives unit vectors [texts, D]."""

    def __init__(self, embed: Embed, known: Mapping[str, Vectors]) -> None:
        self._embed, self._known = embed, dict(known)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """The texts' vectors."""
        vectors = embedded(texts, self._known, self._embed)
        self._known.update(zip(texts, vectors, strict=True))
        return vectors


@dataclass(frozen=True)
class Command:
    """A run of the command.

    Attributes:
        catalog: services and null topics.
        settings: of the endpoint.
        count: phrases asked for, of each service.
        write: the file of proposals, if there is to be one.
    """

    catalog: Catalog
    settings: Settings
    count: int
    write: Path | None

    def run(self, services: Sequence[Service], server: Access | None, repository: Path, index: Path) -> int:
        """Ask for each service; the exit status, 1 if there were no phrases for one of them.

        Raises:
            SuggestError: no service can have phrases.
            ExportError: there is no server that embeds.
            OSError: there is no encoder, or the file cannot be written.
        """
        known = known_vectors(index, EncoderMetadata.of(repository).fingerprint)
        if server is None:
            return self._all(services, Remembering(embedding.offline(repository), known))
        with server.client() as client:
            try:
                return self._all(services, Remembering(embedding.online(client, server.url, repository), known))
            except malgil.MalgilError as error:
                hint = "Start `python -m server`, or ask with --offline"
                raise ExportError(f"{server.url}: {error}. {hint}") from None

    def _all(self, services: Sequence[Service], embed: Embed) -> int:
        status = written = 0
        for service in services:
            try:
                proposals = self._one(service, embed)
            except SuggestError as error:
                if error.code in FATAL or len(services) == 1:
                    raise
                click.echo(f"{service.service_id}: {error}", err=True)
                status = 1
                continue
            CONSOLE.print(table(service, proposals))
            if self.write:  # at once: what a model was paid for is not lost by Ctrl-C
                with self.write.open("a", encoding="utf-8") as stream:
                    stream.write(lines(service.service_id, proposals))
            written += len(proposals)
        if self.write and written:
            click.echo(
                f"{self.write}: {written} proposals. Set keep to true where a phrase is good, then `suggest accept`"
            )
        return status

    def _one(self, service: Service, embed: Embed) -> list[Proposal]:
        with CONSOLE.status(service.name) as status:

            def show(step: Step) -> None:
                if step.code == "cut":
                    click.echo(f"{service.service_id}: {step.detail}; the whole phrases count", err=True)
                else:
                    status.update(Text(f"{service.name}: {SAID[step.code].format(step=step)}"))

            progress: Progress = show
            return suggest(service, self.catalog, self.settings, embed, progress, count=self.count)


def table(service: Service, proposals: Sequence[Proposal]) -> Table:
    """The proposals of a service."""
    good = sum(one.verdict == "good" for one in proposals)
    made = Table(
        title=Text(f"{service.name} ({service.service_id}): {good} good of {len(proposals)}"), title_justify="left"
    )
    for heading in ("phrase", "nearest here", "nearest elsewhere", "verdict"):
        made.add_column(heading)
    for one in proposals:
        cells = (one.text, near(one.own), near(one.other, whose=True), one.reason or "good")
        made.add_row(*(Text(printable(cell)) for cell in cells))
    return made


def near(one: Near | None, whose: bool = False) -> str:
    """A near text with its cosine."""
    if one is None:
        return ""
    return f"{one.cosine:.3f} {one.phrase}" + (f" ({one.name})" if whose else "")


def printable(text: str) -> str:
    """A text that moves no cursor and changes no colour of a terminal."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
