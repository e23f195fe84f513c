"""A request for suggestions: its tensors checked and parsed, and the tensors of its answer.

The text of every ValueError is a sentence for the caller: the field, the value, the bound.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from malgil_core.index.generation import Generation
from malgil_core.limits import DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS
from malgil_core.ranking.request import parse_surface
from malgil_core.suggest.types import Suggestion, SuggestOptions
from malgil_core.text.validation import check_shape, parse_texts, require


@dataclass(frozen=True)
class SuggestRequest:
    """The texts of one request.

    Attributes:
        typed: [B] texts.
        options: [B].
    """

    typed: list[str]
    options: list[SuggestOptions]

    @classmethod
    def parse(cls, tensors: Mapping[str, Any], surfaces: Collection[str]) -> SuggestRequest:
        """A request's input tensors by name, without an entry where an optional one is absent.

        Args:
            tensors: `typed`, and optionally `top_k` and `surface`, [B, 1].
            surfaces: those of the catalog.

        Raises:
            ValueError: a tensor is missing or of another shape, or a value is out of its bounds.
        """
        array = require("typed", tensors.get("typed"))
        check_shape("typed", array.shape)
        typed = parse_texts("typed", array.ravel().tolist())
        top_k, surface = (tensors.get(name) for name in ("top_k", "surface"))
        ks = [DEFAULT_SUGGESTIONS] * len(typed) if top_k is None else [_top_k(int(k)) for k in top_k.ravel().tolist()]
        shown: Sequence[str | None] = (
            [None] * len(typed)
            if surface is None
            else [parse_surface(raw, surfaces) for raw in surface.ravel().tolist()]
        )
        return cls(typed, [SuggestOptions(*values) for values in zip(ks, shown, strict=True)])


def _top_k(value: int) -> int:
    if not 1 <= value <= MAX_SUGGESTIONS:
        raise ValueError(f"top_k is {value}: it must be from 1 to {MAX_SUGGESTIONS}")
    return value


def lay_out(
    generation: Generation, found: Sequence[Sequence[Suggestion]], options: Sequence[SuggestOptions]
) -> dict[str, Any]:
    """The output tensors of one request: K columns, K the largest top_k; those without a suggestion have id -1.

    Args:
        generation: that the suggestions are of.
        found: those of each text.
        options: of each text.
    """
    width = max(option.top_k for option in options)
    shape = (len(found), width)
    texts, sources = np.full(shape, b"", np.object_), np.full(shape, b"", np.object_)
    services, scores = np.full(shape, -1, np.int64), np.full(shape, -1, np.float32)
    for place, suggestions in enumerate(found):
        for column, one in enumerate(suggestions):
            texts[place, column], sources[place, column] = one.text.encode(), b"query" if one.is_query else b"phrase"
            services[place, column], scores[place, column] = one.service, one.score
    return {
        "text": texts,
        "id": generation.ids_padded[services],
        "name": generation.names_padded[services],
        "path": generation.paths_padded[services],
        "source": sources,
        "score": scores,
        "generation": np.full((len(found), 1), generation.number, dtype=np.int64),
    }
