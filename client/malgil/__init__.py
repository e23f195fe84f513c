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

__all__ = [
    "AsyncSearchClient",
    "BadRequest",
    "DeadlineExceeded",
    "Document",
    "DocumentsResult",
    "Forbidden",
    "Hit",
    "MalgilError",
    "NullMatch",
    "Overloaded",
    "SearchClient",
    "SearchResult",
    "ServerError",
    "SuggestResult",
    "Suggestion",
    "Tls",
    "Unavailable",
    "UnifiedResult",
]

# Tracebacks and reprs show `malgil.SearchClient`, not the private module.
for _name in __all__:
    globals()[_name].__module__ = "malgil"
del _name
