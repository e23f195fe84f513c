"""Publishing a catalog: once, or again whenever its file changes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import malgil
from malgil_core.catalog import reading
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError
from malgil_core.index import history, writer

from export.catalog import embedding
from export.console import CONSOLE
from export.errors import ExportError
from export.progress import bar

LOOK_SECONDS = 1.0  # between two looks at a watched file


@dataclass(frozen=True)
class Publisher:
    """A catalog's file, and where and how it is published.

    Attributes:
        file: the catalog.
        repository: the model repository with the encoder.
        index: the index folder.
        url: gRPC address of the server that embeds; None embeds in this process.
        default_threshold: for services without a threshold in the catalog.
        keep: generations kept.
    """

    file: Path
    repository: Path
    index: Path
    url: str | None
    default_threshold: float | None
    keep: int

    def publish(self) -> None:
        """Publish the file as it is, and print what serves.

        Raises:
            CatalogError: the file holds mistakes; nothing was published.
            EncoderMetadataError: the encoder's metadata is damaged.
            ExportError: there is no server, or it has another encoder.
            OSError: the file cannot be read, or there is no encoder.
        """
        services = reading.read(self.file)
        metadata = EncoderMetadata.of(self.repository)
        with bar("embedding", CONSOLE) as advance:
            if self.url is None:
                embed = embedding.offline(self.repository, advance)
            else:
                embed = embedding.online(self.url, self.repository, advance)
            try:
                number = writer.publish(services, self.index, metadata, embed, self.default_threshold)
            except malgil.MalgilError as error:
                hint = "Start `python -m server`, or publish with --offline"
                raise ExportError(f"{self.url}: {error}. {hint}") from None
        phrases = sum(len(service.texts) for service in services)
        opened = sum(service.open for service in services)
        click.echo(f"generation {number} serves: {opened} open of {len(services)} services, {phrases} phrases")
        remove_old(self.index, self.keep)

    def watch(self) -> NoReturn:
        """Publish now, and again whenever the file changes; a file with mistakes is reported once and not published."""
        published: bytes | None = None
        refused: str | None = None
        while True:
            try:
                content = self.file.read_bytes()
                if content != published:
                    self.publish()
                    published, refused = content, None
            except (reading.CatalogError, EncoderMetadataError, ExportError, OSError) as error:
                if str(error) != refused:  # once, not every second
                    click.echo(f"{error}\nthe last good generation still serves")
                refused = str(error)
            time.sleep(LOOK_SECONDS)


def remove_old(index: Path, keep: int) -> None:
    """Remove all but the newest generations, and print which are gone."""
    removed = history.collect(index, keep)
    if removed:
        click.echo(f"removed old generations: {', '.join(map(str, removed))}")
