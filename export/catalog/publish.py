"""Publishing a catalog: once, or again whenever its file changes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import malgil
from malgil_core.catalog import reading
from malgil_core.catalog.reading import Service
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError
from malgil_core.index import history, reader, writer
from malgil_core.index.generation import GenerationError

from export.catalog import embedding
from export.catalog.access import Access
from export.console import CONSOLE
from export.errors import ExportError
from export.progress import Advance, bar

LOOK_SECONDS = 1.0  # between two looks at a watched file


@dataclass(frozen=True)
class Publisher:
    """A catalog's file, and where and how it is published.

    Attributes:
        file: the catalog.
        repository: the model repository with the encoder.
        index: the index folder.
        server: how to reach the server that embeds; None embeds in this process.
        default_threshold: for services without a threshold in the catalog.
        keep: generations kept.
    """

    file: Path
    repository: Path
    index: Path
    server: Access | None
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
            number = self._write(services, metadata, advance)
        phrases = sum(len(service.texts) for service in services)
        opened = sum(service.open for service in services)
        click.echo(f"generation {number} serves: {opened} open of {len(services)} services, {phrases} phrases")
        remove_old(self.index, self.keep)

    def _write(self, services: Sequence[Service], metadata: EncoderMetadata, advance: Advance) -> int:
        """Write the new generation; its number."""
        if self.server is None:
            embed = embedding.offline(self.repository, advance)
            return writer.publish(services, self.index, metadata, embed, self.default_threshold)
        with self.server.client() as client:
            embed = embedding.online(client, self.server.url, self.repository, advance)
            try:
                return writer.publish(services, self.index, metadata, embed, self.default_threshold)
            except malgil.MalgilError as error:
                hint = "Start `python -m server`, or publish with --offline"
                raise ExportError(f"{self.server.url}: {error}. {hint}") from None

    def why_missing(self) -> str | None:
        """Why a scorer of this version cannot serve the index with the exported encoder; None if it can."""
        fingerprint = EncoderMetadata.of(self.repository).fingerprint
        try:
            number = reader.current(self.index)
            if number is None:
                return f"nothing is published in {self.index} yet"
            manifest = reader.read_manifest(reader.folder_of(self.index, number))
            if manifest["encoder"]["fingerprint"] != fingerprint:
                return f"generation {number} was made by another encoder"
        except GenerationError as error:
            return str(error)
        return None

    def why_changed(self) -> str | None:
        """Why the file is not what was published last; None if it is, and serves or was rolled back."""
        if reason := self.why_missing():
            return reason
        last = history.last_published(self.index)
        if last is None:
            return f"no generation in {self.index} tells what was published last"
        services = [json.loads(json.dumps(service.as_dict())) for service in reading.read(self.file)]
        if history.diff(history.services(self.index, last.number), services):
            return f"{self.file} is not what generation {last.number} was made of"
        if self.default_threshold not in (None, (last.manifest or {})["default_threshold"]):
            return f"generation {last.number} has another default threshold"
        return None

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
