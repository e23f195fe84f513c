"""Phrases that a language model suggests for services, until a person has decided on each."""

from console.suggestions.jobs import BusyError, Job, Suggested, Suggestions

__all__ = ["BusyError", "Job", "Suggested", "Suggestions"]
