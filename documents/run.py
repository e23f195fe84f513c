"""What the commands do with a collection: opening, filling, checking it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from malgil_core.encoder import EncoderMetadata
from malgil_core.text.tokenization import Tokenization

from documents import collection, sources
from documents.collection import ALIAS, State
from documents.engine import Engine
from documents.errors import DocumentsError
from documents.ingest import Embed, Ingest, Report
from documents.options import embedding
from documents.passages import Splitter
from documents.schema import Stored


def existing(engine: Engine) -> str:
    """The collection that is searched.

    Raises:
        DocumentsError: there is none.
    """
    name = collection.current(engine)
    if name is None:
        raise DocumentsError("the engine has no documents yet: run `python -m documents ingest`")
    return name


def created(engine: Engine, repository: Path, tokens: int | None) -> tuple[str, State]:
    """A new collection for the exported encoder, without an alias."""
    metadata = EncoderMetadata.of(repository)
    state = State(metadata.fingerprint, metadata.dimension, min(tokens or metadata.max_length, metadata.max_length))
    return collection.create(engine, state), state


def opened(engine: Engine, repository: Path, tokens: int | None) -> tuple[str, State]:
    """The collection that is searched, or a new one if there is none.

    Raises:
        DocumentsError: it is of another encoder, or its passages have another length.
    """
    name = collection.current(engine)
    if name is None:
        name, state = created(engine, repository, tokens)
        collection.point(engine, ALIAS, name)
        return name, state
    state = collection.read_state(engine, name)
    if state.encoder != EncoderMetadata.of(repository).fingerprint:
        raise DocumentsError(f"{name} holds the vectors of another encoder: run `python -m documents rebuild`")
    if tokens not in (None, state.tokens):
        raise DocumentsError(f"{name} has passages of up to {state.tokens} tokens: run `python -m documents rebuild`")
    return name, state


def ingest(engine: Engine, name: str, state: State, files: Sequence[Path], given: Mapping[str, Any]) -> Report:
    """Ingest files, with a line on standard error for each document that cannot be read; `given`: encoder options."""
    splitter = Splitter(Tokenization.load(given["repository"] / "tokenizer" / "1"), state.tokens)
    with embedding("passage", **given) as embed, embedding("phrase", **given) as embed_phrases:
        return fill(engine, name, state, files, splitter, embed, embed_phrases)


def fill(
    engine: Engine, name: str, state: State, files: Sequence[Path], splitter: Splitter, embed: Embed,
    embed_phrases: Embed | None = None,
) -> Report:  # fmt: skip
    """Ingest files."""
    from export.console import CONSOLE

    refused = 0

    def refuse(place: str, sentence: str) -> None:
        nonlocal refused
        refused += 1
        click.echo(f"{place}: {sentence}", err=True)

    with CONSOLE.status("reading") as status:
        work = Ingest(engine, name, state, splitter, embed, refuse, lambda report: status.update(str(report)))
        work.embed_phrases = embed_phrases
        report = work.run(sources.read(files, refuse))
    report.refused = refused
    return report


def problems(engine: Engine, name: str) -> tuple[list[str], int, int]:
    """What is wrong with a collection, and its numbers of documents and passages."""
    state = collection.read_state(engine, name)
    rows = engine.rows(name, ["document_key", "version", "rows", "phrase", "stored"])
    parts = Counter((row["document_key"], row["version"], row["rows"]) for row in rows)
    ids = {row["document_key"]: Stored.parse(row["stored"]).id for row in rows}
    found = [
        f"{ids[key]}: {count} of {whole} passages and phrases"
        for (key, _, whole), count in parts.items()
        if count != whole
    ]
    versions = Counter(key for key, _, _ in parts)
    found += [f"{ids[key]}: {count} versions" for key, count in versions.items() if count > 1]
    passages = sum(not row["phrase"] for row in rows)
    if (state.statistics.passages, state.phrases) != (len(rows), len(rows) - passages):
        counted = f"{state.statistics.passages - state.phrases} passages and {state.phrases} phrases"
        found.append(f"the statistics are of {counted}: ingest counts them anew")
    unknown = {Stored.parse(row["stored"]).surfaces for row in rows} - state.surfaces
    found += [f"no filter finds the surfaces {', '.join(names)}" for names in sorted(unknown)]
    return found, len(ids), passages
