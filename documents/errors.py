"""The base of what documents refuses: `python -m documents` prints such an error's sentence and exits with status 1."""


class DocumentsError(Exception):
    """What was asked cannot be done; the text says why, and what to do where something can be done."""


class RecordError(DocumentsError):
    """A document that cannot be read; the text names the field, the value and the bound."""
