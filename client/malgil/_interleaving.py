"""Team-draft interleaving: one answer made of those of two clients, which shows with few searches which is better."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Generic, TypeAlias, cast, overload

from malgil._async_client import AsyncSearchClient
from malgil._client import SearchClient
from malgil._errors import MalgilError
from malgil._experiment import INTERLEAVED, ClientT, check_clients, check_name
from malgil._keyed import check_secret, seed
from malgil._results import Hit, SearchResult
from malgil._tensors import Tensors, search_inputs
from malgil._tracking import Track

# The answer of a client and why it is empty, or why there is none.
Asked: TypeAlias = "tuple[SearchResult, str] | MalgilError"


class Interleaving(Generic[ClientT]):
    """An interleaving experiment: both clients are asked at once, and their hits drafted into one answer by turns.

    Each hit says in `team` which client it comes from, and so does the event of its choice: the better client is the
    one whose hits are chosen more often. Events have the variant "NAME:interleaved", and are sent by the feedback of
    `a`, or of `b` where `a` has none.

    `name`: up to 40 characters of A-Z a-z 0-9 _ . - . `a`, `b`: two SearchClient or two AsyncSearchClient; closing them
    is the caller's. `key`: a secret of at least 16 bytes, behind the coins; within one search id they fall alike, so
    that hits do not trade places while a person types.

    Where only one of the clients answers, its answer is the result, without teams and without a variant, so that it
    counts for neither. The slower of the two decides how long a search takes: `timeout` bounds it.
    """

    def __init__(self, name: str, *, a: ClientT, b: ClientT, key: bytes) -> None:
        self._name, self._key = check_name(name), check_secret("key", key)
        check_clients({"a": a, "b": b})
        self._a: SearchClient | AsyncSearchClient = a
        self._b: SearchClient | AsyncSearchClient = b

    @overload
    def search(self: Interleaving[SearchClient], query: str, **options: Any) -> SearchResult: ...
    @overload
    def search(
        self: Interleaving[AsyncSearchClient], query: str, **options: Any
    ) -> Coroutine[Any, Any, SearchResult]: ...
    def search(
        self,
        query: str,
        *,
        explain: bool = False,
        timeout: float | None = None,
        person: str | None = None,
        search_id: str | None = None,
        **options: Any,
    ) -> SearchResult | Coroutine[Any, Any, SearchResult]:
        """The drafted answer; as many hits as the longer of both.

        Arguments as in SearchClient.search, without `variant`. The `generation` is that of `a`. With
        asyncio clients, to be awaited. Raises what `a` raised if both failed.
        """
        inputs = search_inputs(query, **options)
        feedback = self._a.feedback if self._a.feedback._enabled else self._b.feedback
        track = feedback._track(inputs, person, search_id, f"{self._name}:{INTERLEAVED}")
        if isinstance(self._a, AsyncSearchClient):
            return self._search_async(track, inputs, timeout, explain)
        return self._search(track, inputs, timeout, explain)

    def _search(self, track: Track, inputs: Tensors, timeout: float | None, explain: bool) -> SearchResult:
        def ask(client: SearchClient | AsyncSearchClient) -> Asked:
            try:
                return cast(SearchClient, client)._ask(inputs, timeout, explain, track.enabled)
            except MalgilError as error:
                return error

        # A pool for each search: one that is kept would have no threads after a fork.
        with ThreadPoolExecutor(1, "malgil") as pool:
            other = pool.submit(contextvars.copy_context().run, ask, self._b)
            first = ask(self._a)
            return self._drafted(track, first, other.result())

    async def _search_async(self, track: Track, inputs: Tensors, timeout: float | None, explain: bool) -> SearchResult:
        async def ask(client: SearchClient | AsyncSearchClient) -> Asked:
            try:
                return await cast(AsyncSearchClient, client)._ask(inputs, timeout, explain, track.enabled)
            except MalgilError as error:
                return error

        return self._drafted(track, *await asyncio.gather(ask(self._a), ask(self._b)))

    def _drafted(self, track: Track, first: Asked, second: Asked) -> SearchResult:
        """One result of both, or of the one that there is."""
        if isinstance(first, MalgilError) or isinstance(second, MalgilError):
            if not isinstance(second, MalgilError):
                return replace(track, variant="").answered(*second)
            if not isinstance(first, MalgilError):
                return replace(track, variant="").answered(*first)
            raise first
        (a, refused_by), (b, _) = first, second
        coins = random.Random(seed(self._key, f"malgil:coins:{self._name}:{track.search_id}"))
        hits = team_draft(a.hits, b.hits, lambda: bool(coins.getrandbits(1)))
        refused_by = "" if hits else refused_by
        result = replace(a, hits=hits, refused_by=None if a.refused_by is None else refused_by)
        return track.answered(result, refused_by)


def team_draft(a: Sequence[Hit], b: Sequence[Hit], coin: Callable[[], bool]) -> tuple[Hit, ...]:
    """Both rankings in one, as long as the longer, each hit with its team: "a" or "b".

    In each round a coin says which team picks first, and each picks its best hit that is not taken yet (Radlinski,
    Kurup and Joachims, How does clickthrough data reflect retrieval quality?, CIKM 2008, algorithm 2). Where one
    ranking has no hit left, the other picks alone.

        a: 송금 이체 한도    b: 이체 환전 송금
        round 1, coin a:  a picks 송금, b picks 이체
        round 2, coin b:  b picks 환전, and the answer is as long as a and b are
        송금 (a)  이체 (b)  환전 (b)
    """
    waiting = {"a": deque(a), "b": deque(b)}
    picked = {"a": 0, "b": 0}
    drafted: dict[int, Hit] = {}
    while len(drafted) < max(len(a), len(b)):
        for hits in waiting.values():
            while hits and hits[0].id in drafted:
                hits.popleft()
        if not (waiting["a"] and waiting["b"]):
            team = "a" if waiting["a"] else "b"
        elif picked["a"] != picked["b"]:
            team = min(picked, key=lambda each: picked[each])
        else:
            team = "a" if coin() else "b"
        hit = replace(waiting[team].popleft(), team=team)
        drafted[hit.id] = hit
        picked[team] += 1
    return tuple(drafted.values())
