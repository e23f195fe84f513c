"""Vectors of texts, embedded by the server and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock

import malgil
import numpy as np
from malgil_core.index.building import Embed, Vectors, embedded
from malgil_core.ranking.topk import unit

from export.catalog import embedding

KEPT = 4096  # texts whose vectors are kept; 6 MB at 384 dimensions
TIMEOUT = 5.0  # seconds for a text that a person waits for
CHUNK = 256  # texts of a catalog embedded between two reports of progress


class Embedder:
    """The server's encoder, with the vectors of the texts that were asked for last.

    Args:
        access: makes a client of the server.
        repository: the model repository, whose encoder must be the server's.
    """

    def __init__(self, access: Callable[[], malgil.SearchClient], repository: Path) -> None:
        self._access, self._repository = access, repository
        self._client: malgil.SearchClient | None = None
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._fingerprint = ""
        self._embed: Embed | None = None
        self._lock = Lock()

    def use(self, fingerprint: str) -> None:
        """Forget the vectors of another encoder than this one."""
        with self._lock:
            if fingerprint != self._fingerprint:
                self._kept.clear()
                self._embed = None
                self._fingerprint = fingerprint

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def of(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [texts, D] of texts as the phrases of a catalog are embedded; the server sees new ones alone.

        Raises:
            malgil.MalgilError: the server does not answer, or refuses a text.
        """
        with self._lock:
            found = {text: self._kept[text] for text in texts if text in self._kept}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            rows = unit(self.client.embed(new, kind="phrase", timeout=TIMEOUT))
            found.update(zip(new, rows, strict=True))
        with self._lock:
            self._keep(found)
        return np.stack([found[text] for text in texts])

    def catalog(self, texts: Sequence[str], known: dict[str, Vectors], advance: Callable[[int, int], None]) -> None:
        """Add the vectors of a catalog's texts to `known`, part by part, so that a failure loses one part alone.

        Raises:
            malgil.MalgilError: the server does not answer, or refuses a text.
            OtherEncoderError: the server's encoder is not the exported one.
            CatalogError: a text has no embedding.
        """
        new = [text for text in dict.fromkeys(texts) if text not in known]
        embed = self._checked()
        for start in range(0, len(new), CHUNK):
            advance(start, len(new))
            part = new[start : start + CHUNK]
            known.update(zip(part, embedded(part, {}, embed), strict=True))

    @property
    def client(self) -> malgil.SearchClient:
        """The client, which connects on first use."""
        with self._lock:
            if self._client is None:
                self._client = self._access()
            return self._client

    def _checked(self) -> Embed:
        """Embeds through the server; compared with the exported encoder once: that loads it, which takes seconds."""
        with self._lock:
            embed = self._embed
        if embed is None:
            embed = embedding.online(self.client, "the server", self._repository)
            with self._lock:
                self._embed = embed
        return embed

    def _keep(self, found: Mapping[str, Vectors]) -> None:
        for text, vector in found.items():
            self._kept[text] = vector
            self._kept.move_to_end(text)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
