"""A/B experiments: each person is given one of several clients, always the same."""

from __future__ import annotations

import math
import re
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar, overload

from malgil._async_client import AsyncSearchClient
from malgil._client import SearchClient
from malgil._keyed import check_person, check_secret, uniform
from malgil._results import SearchResult, UnifiedResult

ClientT = TypeVar("ClientT", SearchClient, AsyncSearchClient)

INTERLEAVED = "interleaved"  # in place of an arm's name, where one answer comes from two

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_ARM = re.compile(r"[A-Za-z0-9_.-]{1,20}")


class Experiment(Generic[ClientT]):
    """An A/B experiment: clients side by side, one of which answers all searches of a person.

    `name`: up to 40 characters of A-Z a-z 0-9 _ . - ; the events of arm "b" have the variant "NAME:b". `arms`: two or
    more clients by the name of their arm (up to 20 such characters), all SearchClient or all AsyncSearchClient; closing
    them is the caller's. `share`: the part of all persons, 0 to 1, that an arm gets; arms without one get equal parts
    of the rest. `key`: a secret of at least 16 bytes; the same in all processes of the app, and for as long as the
    experiment runs. Another key or name draws the persons anew.

    Each person and arm has a number u, drawn by a keyed hash, and the person gets the arm with the least
    -ln(u) / share: weighted rendezvous hashing (Schindelhauer and Schomaker, Weighted distributed hash tables, 2005).
    A larger share of "b" only moves persons to "b"; no two other arms exchange any.

    Raises TypeError or ValueError for bad settings.
    """

    def __init__(
        self, name: str, arms: Mapping[str, ClientT], share: Mapping[str, float] | None = None, *, key: bytes
    ) -> None:
        self._name, self._key = check_name(name), check_secret("key", key)
        self._arms: dict[str, ClientT] = dict(arms)
        check_clients(self._arms)
        if len(self._arms) < 2:
            raise ValueError(f"arms: {len(self._arms)} are below 2")
        for arm in self._arms:
            if not _ARM.fullmatch(arm) or arm == INTERLEAVED:
                raise ValueError(f"arms: {arm!r} is not of 1 to 20 characters of A-Z a-z 0-9 _ . -, or it is reserved")
        self._shares = _shares(tuple(self._arms), share or {})

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of each arm; together 1."""
        return dict(self._shares)

    def arm(self, person: str) -> str:
        """The name of the person's arm. Raises ValueError for ""."""
        if not check_person(person):
            raise ValueError("person: is empty; for who is not known pass the id of the device or the session")
        distances = {
            arm: -math.log(uniform(self._key, f"malgil:arm:{self._name}:{arm}:{person}")) / share
            for arm, share in self._shares.items()
            if share
        }
        return min(distances, key=lambda arm: distances[arm])

    @overload
    def search(self: Experiment[SearchClient], query: str, *, person: str, **options: Any) -> SearchResult: ...
    @overload
    def search(
        self: Experiment[AsyncSearchClient], query: str, *, person: str, **options: Any
    ) -> Coroutine[Any, Any, SearchResult]: ...
    def search(self, query: str, *, person: str, **options: Any) -> Any:
        """`search` of the person's client; its events name the arm. With asyncio clients, to be awaited."""
        arm = self.arm(person)
        return self._arms[arm].search(query, person=person, variant=f"{self._name}:{arm}", **options)

    @overload
    def search_all(self: Experiment[SearchClient], query: str, *, person: str, **options: Any) -> UnifiedResult: ...
    @overload
    def search_all(
        self: Experiment[AsyncSearchClient], query: str, *, person: str, **options: Any
    ) -> Coroutine[Any, Any, UnifiedResult]: ...
    def search_all(self, query: str, *, person: str, **options: Any) -> Any:
        """`search_all` of the person's client; its events name the arm. With asyncio clients, to be awaited."""
        arm = self.arm(person)
        return self._arms[arm].search_all(query, person=person, variant=f"{self._name}:{arm}", **options)


def check_name(name: str) -> str:
    """The given name of an experiment; TypeError or ValueError where events cannot carry it."""
    if not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: {name[:64]!r} is not of 1 to 40 characters of A-Z a-z 0-9 _ . -")
    return name


def check_clients(clients: Mapping[str, object]) -> None:
    """TypeError unless all are clients of one kind."""
    kinds = {type(client) for client in clients.values()}
    if not all(issubclass(kind, (SearchClient, AsyncSearchClient)) for kind in kinds):
        raise TypeError("arms must be SearchClient or AsyncSearchClient")
    if len({issubclass(kind, SearchClient) for kind in kinds}) > 1:
        raise TypeError("arms must be all SearchClient or all AsyncSearchClient, not both")


def _shares(arms: tuple[str, ...], given: Mapping[str, float]) -> dict[str, float]:
    """The share of each arm, in its order; ValueError where they cannot be shares of 1."""
    for arm, value in given.items():
        if arm not in arms:
            raise ValueError(f"share: {arm!r} is none of the arms {', '.join(arms)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"share: that of {arm!r} must be float, not {type(value).__name__}")
        if not 0 <= value <= 1:
            raise ValueError(f"share: {value} of {arm!r} is not between 0 and 1")
    rest = 1 - sum(given.values())
    others = len(arms) - len(given)
    if rest < -1e-9 or (not others and rest > 1e-9):
        raise ValueError(f"share: together {1 - rest:g}, not {'at most ' if others else ''}1")
    return {arm: given[arm] if arm in given else max(rest, 0.0) / others for arm in arms}
