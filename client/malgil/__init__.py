"""Client of a Malgil search server, over gRPC or HTTP, blocking or with asyncio.

    from malgil import SearchClient

    with SearchClient("localhost:8001") as client:
        for hit in client.search("돈 보내기", top_k=3):
            print(hit.score, hit.path)

Errors: MalgilError and its subclasses.
"""

from malgil._access import Tls
from malgil._async_client import AsyncSearchClient
from malgil._client import SearchClient
from malgil._errors import BadRequest, DeadlineExceeded, Forbidden, MalgilError, Overloaded, ServerError, Unavailable
from malgil._events import new_search_id
from malgil._experiment import Experiment
from malgil._federated import LayerUpdate, gaussian_epsilon
from malgil._feedback import Feedback, FeedbackCounts
from malgil._interleaving import Interleaving
from malgil._personal import PersonalLayer
from malgil._results import (
    Document,
    DocumentsResult,
    Hit,
    NullMatch,
    SearchResult,
    Suggestion,
    SuggestResult,
    UnifiedResult,
)
from malgil._tracking import FeedbackSender

__all__ = [
    "AsyncSearchClient",
    "BadRequest",
    "DeadlineExceeded",
    "Document",
    "DocumentsResult",
    "Experiment",
    "Feedback",
    "FeedbackCounts",
    "FeedbackSender",
    "Forbidden",
    "Hit",
    "Interleaving",
    "LayerUpdate",
    "MalgilError",
    "NullMatch",
    "Overloaded",
    "PersonalLayer",
    "SearchClient",
    "SearchResult",
    "ServerError",
    "SuggestResult",
    "Suggestion",
    "Tls",
    "Unavailable",
    "UnifiedResult",
    "gaussian_epsilon",
    "new_search_id",
]

# Tracebacks and reprs show `malgil.SearchClient`, not the private module.
for _name in __all__:
    globals()[_name].__module__ = "malgil"
del _name
