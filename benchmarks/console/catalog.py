"""A catalog of any number of services, made of the sample's words."""

from __future__ import annotations

import random
from collections.abc import Sequence

from malgil_core.catalog.service import Service

PHRASES = 6  # of each service, its name aside


def grown(services: Sequence[Service], size: int) -> list[Service]:
    """The sample's services, and as many more as are missing: phrases of their words, no two alike."""
    rng = random.Random(0)
    found = [*services][:size]
    known = {service.id for service in found}
    found = [service if service.parent_id in known else _root(service) for service in found]
    words = sorted({word for service in services for text in service.texts for word in text.split()})
    seen = {text for service in services for text in service.texts}
    roots = [service.id for service in found if service.parent_id is None]
    for id in range(100_000, 100_000 + size - len(found)):
        name, *phrases = (_new(rng, words, seen) for _ in range(PHRASES + 1))
        parent = rng.choice(roots)
        threshold = 0.9 if id % 20 == 0 else None
        found.append(
            Service(id, parent, f"s{id}", name, name, id % 15 != 0, tuple(phrases), "", ("SEARCH",), threshold)
        )
    return found


def _root(service: Service) -> Service:
    return Service(**{**service.as_dict(), "parent_id": None})


def _new(rng: random.Random, words: Sequence[str], seen: set[str]) -> str:
    while (text := " ".join(rng.sample(words, rng.randint(2, 5)))) in seen:
        pass
    seen.add(text)
    return text
