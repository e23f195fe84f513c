"""Korean sentences for what the store refuses, by the code of the problem."""

from __future__ import annotations

from collections.abc import Iterable

from malgil_core.catalog.problems import Problem

from console.forms.fields import Errors


def by_field(problems: Iterable[Problem]) -> Errors:
    """The sentences of problems, by the field that shows them."""
    errors: Errors = {}
    for problem in problems:
        errors.setdefault(problem.field, []).append(sentence(problem))
    return errors


def sentence(problem: Problem) -> str:
    """A problem in Korean."""
    return str(problem)
