"""Dense similarity between proposals and the texts of a catalog: their nearest texts, and a service's neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from malgil_core.index.writer import Embed, Vectors
from malgil_core.ranking.topk import unit

from export.suggest.proposals import Near, Proposal
from export.suggest.wording import Finding

Owner = Service | NullTopic
NEIGHBOURS = 8  # services that a model is told to stay off
OF_A_NEIGHBOUR = 3  # texts of each, the nearest ones


@dataclass(frozen=True)
class Neighbour:
    """A service that lies near to another one.

    Attributes:
        service: the neighbour.
        phrases: its texts nearest to the other service, nearest first.
        cosine: of the nearest.
    """

    service: Service
    phrases: tuple[str, ...]
    cosine: float


@dataclass(frozen=True)
class Texts:
    """Texts with their owners and unit vectors."""

    texts: Sequence[str]
    owners: Sequence[Owner]  # of each text
    vectors: Vectors  # [texts, D]

    def near(self, row: int, cosine: float) -> Near:
        """A text as what lies near to a proposal."""
        owner = self.owners[row]
        return Near(self.texts[row], cosine, owner.name, owner.service_id if isinstance(owner, Service) else None)


class Nearness:
    """A service among the rest of a catalog, by the encoder's vectors."""

    def __init__(self, catalog: Catalog, service: Service, embed: Embed) -> None:
        """Embed all texts of the catalog.

        Args:
            catalog: services and null topics; `service` counts instead of the one with its id.
            service: whose neighbours are looked for.
            embed: texts → float32 [texts, D]. Called with all texts of the catalog: it should remember vectors.
        """
        others: list[Owner] = [one for one in catalog.services if one.id != service.id]
        pairs: list[tuple[str, Owner]] = [(text, one) for one in others for text in _texts(one)]
        pairs += [(text, topic) for topic in catalog.null_topics for text in topic.phrases]
        own = list(dict.fromkeys(service.texts))
        vectors = unit(np.asarray(embed([*own, *(text for text, _ in pairs)]), np.float32))
        self._embed = embed
        self._own = Texts(own, [service] * len(own), vectors[: len(own)])
        self._others = Texts([text for text, _ in pairs], [owner for _, owner in pairs], vectors[len(own) :])

    def neighbours(self, most: int = NEIGHBOURS) -> list[Neighbour]:
        """The nearest other services, nearest first."""
        if not self._others.texts:
            return []
        cosines = (self._others.vectors @ self._own.vectors.T).max(axis=1)
        found: dict[int, tuple[Service, list[int]]] = {}
        for row in np.argsort(-cosines, kind="stable").tolist():
            owner = self._others.owners[row]
            if isinstance(owner, Service) and (owner.id in found or len(found) < most):
                rows = found.setdefault(owner.id, (owner, []))[1]
                rows.append(row)
        return [
            Neighbour(one, tuple(self._others.texts[row] for row in rows[:OF_A_NEIGHBOUR]), float(cosines[rows[0]]))
            for one, rows in found.values()
        ]

    def proposals(self, phrases: Sequence[str], findings: Sequence[Finding | None]) -> list[Proposal]:
        """Phrases with their nearest texts and verdicts.

        Args:
            phrases: proposed for the service.
            findings: what speaks against the wording of each; where nothing does, their nearest texts decide.
        """
        if not phrases:
            return []
        vectors = unit(np.asarray(self._embed(phrases), np.float32))
        return [_proposal(*pair) for pair in zip(phrases, findings, *self._nearest(vectors), strict=True)]

    def _nearest(self, vectors: Vectors) -> tuple[list[Near], list[Near | None]]:
        """The nearest own text and the nearest other text of each vector."""
        own = [self._own.near(row, cosine) for row, cosine in _best(vectors @ self._own.vectors.T)]
        if not self._others.texts:
            return own, [None] * len(own)
        return own, [self._others.near(row, cosine) for row, cosine in _best(vectors @ self._others.vectors.T)]


def _texts(owner: Owner) -> Sequence[str]:
    return owner.texts if isinstance(owner, Service) else owner.phrases


def _best(cosines: npt.NDArray[np.float32]) -> list[tuple[int, float]]:
    rows = cosines.argmax(axis=1)
    return [(int(row), float(cosines[i, row])) for i, row in enumerate(rows)]


def _proposal(text: str, finding: Finding | None, own: Near, other: Near | None) -> Proposal:
    if finding is not None:
        return Proposal(text, finding[0], own, other, finding[1])
    if other is not None and other.cosine >= own.cosine:
        return Proposal(text, "nearer_null" if other.service_id is None else "nearer_other", own, other)
    return Proposal(text, "good", own, other)
