"""Limits that client, tokenizer, scorer, suggestions and catalog share."""

MAX_TEXT_BYTES = 8192  # of a query, a passage, a name or a phrase, in UTF-8
MAX_TOP_K = 1000
DEFAULT_TOP_K = 10
MAX_SUGGESTIONS = 20
DEFAULT_SUGGESTIONS = 5
# After its last change nobody writes a segment of events any more: it is sealed after a third of that.
ABANDONED_SECONDS = 1800.0
