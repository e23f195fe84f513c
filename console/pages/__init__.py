"""The pages: a module each, with its `routes`, and `links` where it stands in the main menu."""

from __future__ import annotations

from types import ModuleType

from console.pages import (
    audit,
    data,
    history,
    login,
    null_topics,
    publish,
    search,
    service,
    service_actions,
    suggest,
    suggest_decisions,
    tests,
    tree,
)
from console.templating import Link

PAGES: tuple[ModuleType, ...] = (
    tree, service, service_actions, search, tests, data, suggest, suggest_decisions,
    publish, null_topics, history, audit, login,
)  # fmt: skip


def links() -> list[Link]:
    """The main menu."""
    return sorted((link for page in PAGES for link in getattr(page, "links", ())), key=lambda link: link.order)
