"""A service of the catalog."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Service:
    """A service that can be found; one line of a catalog."""

    id: int
    parent_id: int | None
    service_id: str
    name: str
    path: str
    open: bool
    phrases: tuple[str, ...]
    memo: str
    surfaces: tuple[str, ...]
    threshold: float | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that queries are compared with: the name, then the phrases."""
        return (self.name, *self.phrases)

    def as_dict(self) -> dict[str, Any]:
        """The fields as in a line of a catalog: lists, as JSON has them."""
        return {**asdict(self), "phrases": list(self.phrases), "surfaces": list(self.surfaces)}
