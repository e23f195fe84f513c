"""Phrases for a service: prompt → the model's answer → phrases → what speaks against each."""

from __future__ import annotations

import threading

from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from malgil_core.index.writer import Embed

from export.suggest import endpoint, parsing, prompt
from export.suggest.errors import SuggestError
from export.suggest.nearness import Nearness
from export.suggest.progress import Progress, Step, ignore
from export.suggest.proposals import Proposal
from export.suggest.settings import Settings
from export.suggest.wording import Wording

COUNT = 10  # phrases that are asked for
MOST_COUNT = 50


def suggest(
    service: Service,
    catalog: Catalog,
    settings: Settings,
    embed: Embed,
    progress: Progress = ignore,
    *,
    count: int = COUNT,
    cancelled: threading.Event | None = None,
) -> list[Proposal]:
    """Phrases that a language model proposes for a service, those that nothing speaks against first.

    Blocks, for settings.timeout seconds and what embedding takes. The endpoint receives the service's name, path, memo
    and phrases, and some phrases of other services.

    Args:
        service: as it is edited; it need not be in the catalog.
        catalog: with all services and null topics.
        settings: of the endpoint.
        embed: texts → float32 [texts, D]. Called with all texts of the catalog: it should remember their vectors.
        progress: called with each step, in this thread.
        count: phrases that are asked for; a model may give fewer or more.
        cancelled: ends the wait for the model when somebody sets it.

    Raises:
        SuggestError: there are no phrases; `code` says why.
        Whatever `embed` raises.
    """
    template = prompt.read(settings.prompt)
    progress(Step("embedding"))
    nearness = Nearness(catalog, service, embed)
    asked = prompt.fill(template, service, catalog, nearness.neighbours(), count)
    answer = endpoint.ask(asked, settings, progress, cancelled)
    if answer.cut is not None:
        progress(Step("cut", detail=str(answer.cut)))
    phrases = parsing.phrases(answer.text, cut=answer.cut is not None)
    if not phrases and answer.cut is not None:
        raise answer.cut
    progress(Step("checking"))
    wording = Wording.of(catalog, service)
    proposals = nearness.proposals(phrases, [wording.finding(phrase) for phrase in phrases])
    if all(one.verdict in ("unprintable", "not_korean") for one in proposals):
        said = " ".join("".join(one if one.isprintable() else " " for one in answer.text[:200]).split())[:60]
        raise SuggestError(
            "unusable", f"{settings.model} at {settings.shown} gave no usable phrase; its answer begins: {said!r}", said
        )
    return sorted(proposals, key=lambda one: one.verdict != "good")
