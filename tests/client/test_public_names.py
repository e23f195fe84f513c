"""The public names of the package."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

import malgil


def test_the_public_names_stay() -> None:
    assert malgil.__all__ == [
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


def test_nothing_else_is_public_and_tracebacks_show_malgil_as_the_module() -> None:
    public = {name for name in vars(malgil) if not name.startswith("_")}
    assert public == set(malgil.__all__)
    for name in malgil.__all__:
        assert getattr(malgil, name).__module__ == "malgil"
        assert getattr(malgil, name).__doc__


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: type) -> set[str]:
        return {name for name in vars(client) if not name.startswith("_")}

    assert methods(malgil.SearchClient) == methods(malgil.AsyncSearchClient)
    assert methods(malgil.SearchClient) == {
        "close",
        "embed",
        "encoder",
        "generation",
        "learn",
        "new_layer",
        "ready",
        "search",
        "search_all",
        "search_documents",
        "search_many",
        "suggest",
    }


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_feedback_and_experiments_keep_their_methods() -> None:
    assert public(malgil.FeedbackSender) == {"abandoned", "chose", "counts", "error", "flush"}
    assert public(malgil.FeedbackCounts) == {"dropped", "refused", "sent", "waiting"}
    assert public(malgil.Experiment) == {"arm", "search", "search_all", "shares"}
    assert public(malgil.Interleaving) == {"search"}
    assert public(malgil.SearchResult) >= {"abandoned", "chose", "search_id", "ticket"}
    for client in (malgil.SearchClient, malgil.AsyncSearchClient):
        assert "feedback" in public(client)


def test_type_checkers_see_that_the_package_is_typed() -> None:
    assert Path(malgil.__file__).with_name("py.typed").exists()


def test_the_client_installs_three_packages_only() -> None:
    needed = {line.split(">=")[0] for line in requires("malgil") or []}
    assert needed == {"numpy", "tritonclient[grpc]", "httpx"}
