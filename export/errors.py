"""The base of what export refuses: `python -m export` prints such an error's sentence and exits with status 1."""


class ExportError(Exception):
    """What was asked cannot be done; the text says why, and what to do where something can be done."""
