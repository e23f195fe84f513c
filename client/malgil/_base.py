"""Settings, argument checks and inputs that the blocking and the asyncio client share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal, TypeAlias

from malgil._access import Tls
from malgil._feedback import Feedback
from malgil._personal import PersonalLayer
from malgil._retry import Backoff, Deadline, check_count, check_timeout
from malgil._tensors import Tensors, embed_inputs, search_inputs
from malgil._tracking import FeedbackSender
from malgil._transport import connect_events
from malgil._vectors import VectorCache

Kind: TypeAlias = Literal["query", "passage", "phrase"]

DEFAULT_URL = "localhost:8001"

# The search behind `ready` and `generation`. Any text will do: the answer shows that every model works.
PROBE = search_inputs("말길", 1, None, None)
PROBE_TEXT = embed_inputs("말길", "query")


class ClientBase:
    """Checked settings of a client; opens no connection."""

    def __init__(
        self,
        timeout: float,
        retries: int,
        search_model: str,
        embed_model: str,
        documents_model: str,
        unified_model: str,
        suggest_model: str,
        feedback: Feedback | None,
        access: tuple[str, Tls | None, str | None],
    ) -> None:
        self._timeout = check_timeout(timeout)
        self._backoff = Backoff(check_count("retries", retries, 0))
        self._search_model = search_model
        self._embed_model = embed_model
        self._documents_model, self._unified_model = documents_model, unified_model
        self._suggest_model = suggest_model
        self._closed = False
        self._vectors = VectorCache()
        self._feedback = FeedbackSender(feedback, partial(connect_events, *access))

    @property
    def feedback(self) -> FeedbackSender:
        """The sender of this client's events: what became of them, and `flush`."""
        return self._feedback

    def _deadline(self, timeout: float | None) -> Deadline:
        if self._closed:
            raise RuntimeError("this client is closed")
        return Deadline(self._timeout if timeout is None else timeout)


def many_search_inputs(
    queries: Iterable[str],
    top_k: int | None,
    surface: str | None,
    min_score: float | None,
    null_phrases: bool | None,
    personal: PersonalLayer | None = None,
) -> list[Tensors]:
    """The input tensors of each query, all built, and so checked, before the first is sent."""
    if isinstance(queries, (str, bytes)):
        raise TypeError(f"queries must be an iterable of str, not one {type(queries).__name__}")
    return [search_inputs(query, top_k, surface, min_score, null_phrases, personal) for query in queries]


def many_embed_inputs(texts: Sequence[str], kind: str) -> list[Tensors]:
    """The input tensors of each text."""
    if isinstance(texts, bytes):
        raise TypeError("text must be str or a sequence of str, not bytes")
    return [embed_inputs(text, kind) for text in texts]
