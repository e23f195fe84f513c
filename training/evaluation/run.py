"""An evaluation of several encoders, one after the other: only one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.text.layout import latin_words

from export.catalog.labelled import Labelled
from export.catalog.settings import Choices, SettingsFile
from export.encoder import korsts
from export.progress import Advance
from training.evaluation import card, passages, plots, queries, scope, similarity
from training.evaluation.encoder import Encoder
from training.evaluation.outcome import Outcome
from training.evaluation.plots import Phrases
from training.evaluation.report import About, Report, rows
from training.evaluation.scope import Scope
from training.evaluation.settings import Used, of_encoders

Progress = Callable[[str], AbstractContextManager[Advance]]  # opens a bar with this label


@dataclass(frozen=True)
class Inputs:
    """What encoders are evaluated on.

    Attributes:
        catalog: services and null topics.
        labelled: queries with their services; those of the reporting half are asked.
        parts: what is measured.
        data: folder of public data sets; None leaves out what needs them.
        questions: of KorQuAD in each half, at most; None takes all.
        settings: settings files, each of one of the encoders.
    """

    catalog: Catalog
    labelled: Sequence[Labelled]
    parts: Sequence[str] = ("korsts", "queries", "scope", "passages")
    data: Path | None = None
    questions: int | None = None
    settings: Sequence[Path] = ()


@dataclass
class Evaluation:
    """A report, and what is drawn beside it.

    Attributes:
        report: the figures.
        scopes: encoder → cosines of the queries in and out of scope.
        phrases: encoder → phrases of some services.
        notes: thresholds of settings files that count no longer.
    """

    report: Report
    scopes: dict[str, Scope] = field(default_factory=dict)
    phrases: dict[str, Phrases] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def evaluate(
    directories: Mapping[str, Path], inputs: Inputs, cache: Path | None, device: str, progress: Progress
) -> Evaluation:
    """Evaluate encoders, {name: directory}; the others are compared with the first.

    Raises:
        TrainingError: a directory holds no encoder, a data set has another form, or a settings file is of another
            encoder.
        SettingsError: a settings file holds a mistake.
    """
    files, skipped = _data(inputs)
    settings = _settings(directories, inputs)
    read = passages.Passages.read(files["passages"], inputs.questions) if "passages" in files else None
    texts = [text for service in inputs.catalog.services if service.open for text in service.texts]
    found: dict[str | None, list[Outcome]] = {}
    about: list[About] = []
    made = Evaluation(Report((), ()))
    for name, directory in directories.items():
        encoder = Encoder(directory, name, cache, latin_words(texts), device)
        trained = card.read(directory)
        used = Used.of(settings[name]) if name in settings else None
        about.append(
            About(
                name, encoder.fingerprint, encoder.dimension, encoder.max_length, trained.pairs, trained.negatives, used
            )
        )
        outcomes = found[name] = []
        if "korsts" in files:
            with progress(f"{name}: KorSTS") as advance:
                outcomes.append(similarity.measure(files["korsts"], encoder, advance))
        if {"queries", "scope"} & {*inputs.parts}:
            choices = None
            if name in settings:
                choices, notes = settings[name].choices(inputs.catalog.services)
                made.notes += notes
            _catalog(made, outcomes, inputs, encoder, choices, progress)
        if read:
            with progress(f"{name}: KorQuAD") as advance:
                outcomes += passages.measure(read, encoder, advance)
    if read:
        found[None] = [passages.bm25_alone(read)]
    made.report = Report(about, rows(found), skipped)
    return made


def _catalog(
    made: Evaluation,
    outcomes: list[Outcome],
    inputs: Inputs,
    encoder: Encoder,
    choices: Choices | None,
    progress: Progress,
) -> None:
    """Evaluate on the catalog and its labelled queries."""
    with progress(f"{encoder.name}: catalog and queries") as advance:
        embedded = queries.Embedded.of(inputs.catalog, inputs.labelled, encoder, advance, choices)
    if "queries" in inputs.parts:
        outcomes += queries.measure(embedded)
    if "scope" in inputs.parts:
        cosines = made.scopes[encoder.name] = Scope.of(embedded)
        outcomes += scope.measure(embedded, cosines)
    drawn = plots.most_phrased(inputs.catalog.services)
    korean = plots.korean_font() is not None
    made.phrases[encoder.name] = Phrases(
        encoder.embed([text for one in drawn for text in one.texts], "phrase"),
        np.repeat(np.arange(len(drawn)), [len(one.texts) for one in drawn]),
        [one.name if korean else str(one.id) for one in drawn],
    )


def _settings(directories: Mapping[str, Path], inputs: Inputs) -> dict[str, SettingsFile]:
    """The settings file of each encoder, found before anything is measured."""
    if not inputs.settings:
        return {}
    return of_encoders(inputs.settings, {name: Encoder(path, name).fingerprint for name, path in directories.items()})


def _data(inputs: Inputs) -> tuple[dict[str, Path], list[str]]:
    """The file of each part that reads a public data set, and a sentence for each that is missing."""
    files, skipped = {}, []
    for part, name, file in (("korsts", "KorSTS", korsts.FILE), ("passages", "KorQuAD", passages.FILE)):
        if part not in inputs.parts:
            continue
        if inputs.data is None:
            skipped.append(f"{name} skipped: --data names no folder of public data sets")
        elif not (inputs.data / file).is_file():
            skipped.append(f"{name} skipped: {inputs.data / file} is not there")
        else:
            files[part] = inputs.data / file
    return files, skipped
