"""Publishing a catalog: once, or again whenever its file changes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import click
import malgil
from malgil_core.catalog import reading
from malgil_core.catalog.reading import Catalog
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError
from malgil_core.index import history, reader, writer
from malgil_core.index.generation import GenerationError
from malgil_core.ranking.margin import NullSettings

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
        null_files: files of null topics, beside those in the catalog.
        null: how margin and floor are chosen.
    """

    file: Path
    repository: Path
    index: Path
    server: Access | None
    default_threshold: float | None
    keep: int
    null_files: Sequence[Path] = ()
    null: NullSettings = field(default_factory=NullSettings)

    def publish(self) -> None:
        """Publish the file as it is, and print what serves.

        Raises:
            CatalogError: the file holds mistakes; nothing was published.
            EncoderMetadataError: the encoder's metadata is damaged.
            ExportError: there is no server, or it has another encoder.
            OSError: the file cannot be read, or there is no encoder.
        """
        catalog = self._read()
        for note in catalog.notes:
            click.echo(note)
        metadata = EncoderMetadata.of(self.repository)
        with bar("embedding", CONSOLE) as advance:
            number = self._write(catalog, metadata, advance)
        services = catalog.services
        phrases = sum(len(service.texts) for service in services)
        opened = sum(service.open for service in services)
        click.echo(f"generation {number} serves: {opened} open of {len(services)} services, {phrases} phrases")
        manifest = reader.read_manifest(reader.folder_of(self.index, number))
        if "null" in manifest:
            click.echo(describe(manifest["null"]))
        remove_old(self.index, self.keep)

    def _read(self) -> Catalog:
        return reading.read_catalog(self.file, self.null_files)

    def _write(self, catalog: Catalog, metadata: EncoderMetadata, advance: Advance) -> int:
        """Write the new generation; its number."""
        if self.server is None:
            embed = embedding.offline(self.repository, advance)
            return self._write_with(embed, catalog, metadata)
        with self.server.client() as client:
            embed = embedding.online(client, self.server.url, self.repository, advance)
            try:
                return self._write_with(embed, catalog, metadata)
            except malgil.MalgilError as error:
                hint = "Start `python -m server`, or publish with --offline"
                raise ExportError(f"{self.server.url}: {error}. {hint}") from None

    def _write_with(self, embed: writer.Embed, catalog: Catalog, metadata: EncoderMetadata) -> int:
        return writer.publish(
            catalog.services, self.index, metadata, embed, self.default_threshold, catalog.null_topics, self.null.limits
        )

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
        catalog = self._read()
        entries = [entry.as_dict() for entry in catalog.services] + [entry.as_dict() for entry in catalog.null_topics]
        lines = json.loads(json.dumps(entries))
        if history.diff(history.catalog(self.index, last.number), lines):
            return f"{self.file} is not what generation {last.number} was made of"
        manifest = last.manifest or {}
        if self.default_threshold not in (None, manifest["default_threshold"]):
            return f"generation {last.number} has another default threshold"
        if catalog.null_topics and not self.null.made(manifest["null"]):
            return f"generation {last.number} has other limits of null phrases"
        return None

    def watch(self) -> NoReturn:
        """Publish now, and again whenever the file changes; a file with mistakes is reported once and not published."""
        published: list[bytes] | None = None
        refused: str | None = None
        while True:
            try:
                content = [file.read_bytes() for file in (self.file, *self.null_files)]
                if content != published:
                    self.publish()
                    published, refused = content, None
            except (reading.CatalogError, EncoderMetadataError, ExportError, OSError) as error:
                if str(error) != refused:  # once, not every second
                    click.echo(f"{error}\nthe last good generation still serves")
                refused = str(error)
            time.sleep(LOOK_SECONDS)


def describe(null: Mapping[str, Any]) -> str:
    """What a manifest says of null phrases, in two sentences."""
    floor = "" if null["floor"] is None else f", or where no service reaches {null['floor']:.4f}"
    return (
        f"{null['topics']} null topics, {null['phrases']} null phrases: an answer is empty where one of them scores "
        f"more than {null['margin']:.4f} above the best service{floor}. Of {null['left_out']} phrases of services, "
        f"each left out of the catalog and searched for, this leaves {null['lost']:.1%} without an answer"
    )


def remove_old(index: Path, keep: int) -> None:
    """Remove all but the newest generations, and print which are gone."""
    removed = history.collect(index, keep)
    if removed:
        click.echo(f"removed old generations: {', '.join(map(str, removed))}")
