"""axe-core, which checks a page's accessibility in the browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from export import ROOT

SCRIPT = ROOT / ".venv/axe/axe.min.js"
RUN = """async (rules) => (
    await axe.run(document, {resultTypes: ["violations"], ...(rules && {runOnly: rules})})
).violations"""


def violations(page: Page, *rules: str) -> list[str]:
    """What is not accessible: each rule that is broken, with the elements that break it; all rules without `rules`."""
    if not SCRIPT.exists():
        pytest.skip("axe-core is not installed: `sh server/install.sh test` installs it where it can")
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(RUN, list(rules) or None)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} ({node.get('failureSummary', '')})"
        for one in found
        for node in one["nodes"]
    ]
