"""Errors of a catalog."""

from __future__ import annotations

from collections.abc import Sequence

from malgil_core.catalog.problems import Problem


class CatalogError(ValueError):
    """A catalog that cannot be published; its text has one line for each problem.

    Attributes:
        problems: as sentences.
        details: as fields and codes, where no file and line stands before them.
    """

    def __init__(self, problems: Sequence[str | Problem]) -> None:
        self.problems = list(map(str, problems))
        self.details = [problem for problem in problems if isinstance(problem, Problem)]
        super().__init__("\n".join(self.problems))
