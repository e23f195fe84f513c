"""Publishing a catalog: once, or again whenever it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from malgil_core.suggest import chosen

from export.catalog import embedding, settings
from export.catalog.access import Access
from export.catalog.published import Published, describe, gone
from export.catalog.settings import Choices, SettingsFile
from export.catalog.source import Source
from export.console import CONSOLE
from export.errors import ExportError
from export.progress import Advance, bar

LOOK_SECONDS = 1.0  # between two looks at a watched file
KEPT = "--no-suggestions leaves them out"
Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Publisher:
    """A catalog, and where and how it is published.

    Attributes:
        source: of the catalog.
        repository: the model repository with the encoder.
        index: the index folder.
        server: how to reach the server that embeds; None embeds in this process.
        default_threshold: for services without a threshold in the catalog; None takes that of the settings.
        keep: generations kept.
        null_files: files of null topics, beside those in the catalog.
        null: fields of NullSettings that were given; the settings count for the others.
        settings: the settings file, if there is one.
        known: text → its vector by the same encoder, where the caller has it; else None.
        suggestions: a file of what people chose (malgil_core.suggest.chosen); None keeps what was published last.
        no_suggestions: whether to publish none, not even those.
    """

    source: Source
    repository: Path
    index: Path
    server: Access | None
    default_threshold: float | None
    keep: int
    null_files: Sequence[Path] = ()
    null: Mapping[str, float] = field(default_factory=dict)
    settings: Path | None = None
    known: Callable[[str], writer.Vectors | None] | None = None
    suggestions: Path | None = None
    no_suggestions: bool = False

    def publish(self) -> None:
        """Publish the catalog as it is, and print what serves; errors as of `run`."""
        with bar("embedding", CONSOLE) as advance:
            published = self.run(advance)
        click.echo(str(published))

    def run(self, progress: Advance) -> Published:
        """Publish the catalog as it is.

        Args:
            progress: called with how many texts are embedded, and how many there are.

        Raises:
            CatalogError: the catalog or the file of suggestions holds mistakes; nothing was published.
            EncoderMetadataError: the encoder's metadata is damaged.
            ExportError: there is no server or database, or the server or the settings are of another encoder, or the
                settings hold mistakes.
            OSError: the file cannot be read, or there is no encoder.
        """
        catalog = self._read()
        metadata = EncoderMetadata.of(self.repository)
        before = history.last_published(self.index)
        found = self._settings(metadata.fingerprint)
        calibrated, notes = found.calibrated(catalog.services) if found else (writer.Calibrated(), [])
        choices = Choices(self._threshold(found), self._null(found), calibrated)
        lines = self._suggestions(before)
        number = self._write(catalog, metadata, choices, lines, progress)
        manifest = reader.read_manifest(reader.folder_of(self.index, number))
        remarks = []
        if "null" in manifest:
            remarks.append(describe(manifest["null"]))
        elif before and "null" in (before.manifest or {}):
            remarks.append(f"no null topics, though generation {before.number} has some: --null-topics FILE adds them")
        if self.settings:
            default = manifest["default_threshold"]
            remarks.append(
                f"{self.settings}: weights of lexical matches, thresholds of {len(calibrated.thresholds)} services, "
                f"{'no default threshold' if default is None else f'default threshold {default:.4f}'}"
            )
        if lines:
            kept = "" if self.suggestions else f", as in generation {before.number if before else 0}: " + KEPT
            remarks.append(f"{len(lines)} suggestions of what people chose{kept}")
        services = catalog.services
        return Published(
            number, len(services), sum(service.open for service in services),
            sum(len(service.texts) for service in services), manifest.get("null"), (*catalog.notes, *notes), remarks,
            history.collect(self.index, self.keep),
        )  # fmt: skip

    def _read(self) -> Catalog:
        return reading.with_null_files(self.source.read(), self.null_files)

    def _settings(self, fingerprint: str) -> SettingsFile | None:
        return settings.read(self.settings, fingerprint) if self.settings else None

    def _suggestions(self, before: history.Entry | None) -> Lines:
        """What people chose: the lines of the file, else those of the generation that was published last."""
        if self.no_suggestions:
            return []
        if self.suggestions:
            found = chosen.parse(self.suggestions.read_bytes(), str(self.suggestions))
            return [one.as_dict() for one in found]
        return self._published(before.number, before.manifest) if before and before.manifest else []

    def _threshold(self, found: SettingsFile | None) -> float | None:
        return found.settings.default_threshold if found and self.default_threshold is None else self.default_threshold

    def _null(self, found: SettingsFile | None) -> NullSettings:
        # A loss that was given decides on margin and floor: those of the settings would leave it without effect.
        base = found.settings.null_settings if found and "loss" not in self.null else NullSettings()
        return replace(base, **self.null)

    def _write(
        self, catalog: Catalog, metadata: EncoderMetadata, choices: Choices, lines: Lines, advance: Advance
    ) -> int:
        """Write the new generation; its number."""
        if self.server is None:
            embed = embedding.offline(self.repository, advance)
            return self._write_with(embed, catalog, metadata, choices, lines)
        with self.server.client() as client:
            embed = embedding.online(client, self.server.url, self.repository, advance)
            try:
                return self._write_with(embed, catalog, metadata, choices, lines)
            except malgil.MalgilError as error:
                hint = "Start `python -m server`, or publish with --offline"
                raise ExportError(f"{self.server.url}: {error}. {hint}") from None

    def _write_with(
        self, embed: writer.Embed, catalog: Catalog, metadata: EncoderMetadata, choices: Choices, lines: Lines
    ) -> int:
        return writer.publish(
            catalog.services,
            self.index,
            metadata,
            embedding.completed(self.known, embed) if self.known else embed,
            choices.default_threshold,
            catalog.null_topics,
            choices.null.limits,
            choices.calibrated,
            lines,
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
        """Why the files are not what was published last; None if they are, and serve or were rolled back."""
        if reason := self.why_missing():
            return reason
        last = history.last_published(self.index)
        if last is None:
            return f"no generation in {self.index} tells what was published last"
        catalog = self._read()
        if history.diff(history.catalog(self.index, last.number), catalog.lines()):
            return f"{self.source} is not what generation {last.number} was made of"
        return self._why_other_options(catalog, last.number, last.manifest or {})

    def _why_other_options(self, catalog: Catalog, number: int, manifest: Mapping[str, Any]) -> str | None:
        """Why a generation of this catalog was published with other options or settings; None if it was not."""
        found = self._settings(EncoderMetadata.of(self.repository).fingerprint)
        if found and found.checksum != manifest.get("settings", {}).get("sha256"):
            return f"generation {number} has other settings than {found.path}"
        if self._threshold(found) not in (None, manifest["default_threshold"]):
            return f"generation {number} has another default threshold"
        if catalog.null_topics and not self._null(found).made(manifest["null"]):
            return f"generation {number} has other limits of null phrases"
        if (self.suggestions or self.no_suggestions) and self._suggestions(None) != self._published(number, manifest):
            return f"generation {number} has other suggestions"
        return None

    def _published(self, number: int, manifest: Mapping[str, Any]) -> Lines:
        """What people chose in a generation."""
        if reader.SUGGESTIONS not in manifest["files"]:
            return []
        return reader.lines_of(reader.folder_of(self.index, number), reader.SUGGESTIONS)

    def watch(self) -> NoReturn:
        """Publish now, and again whenever the catalog changes; one with mistakes is reported once and not published."""
        published: list[object] = []
        refused: str | None = None
        while True:
            try:
                files = (*self.null_files, *filter(None, (self.settings, self.suggestions)))
                content = [self.source.state(), *(file.read_bytes() for file in files)]
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
        click.echo(gone(removed))
