"""Passages: a document's body, cut at sentence borders to what the encoder reads at once.

Kiwi finds the borders, also where informal Korean has no full stop. It is the only kept splitter of Korean sentences on
PyPI that installs as a wheel and without a deep-learning library: kss brings a dozen packages and builds from source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from malgil_core.text.tokenization import Tokenization

from documents.errors import RecordError
from documents.schema import Passage

LONGEST = 1000  # characters that Kiwi gets at once: its time grows faster than their number
MAX_PASSAGES = 1000  # of one document
TITLE_SHARE = 4  # a title takes at most this part of the window
_PIECE = re.compile(rf"[^\n]{{1,{LONGEST}}}(?=\s|$)|[^\n]{{1,{LONGEST}}}", re.MULTILINE)
Span = tuple[int, int]


class Splitter:
    """Cuts bodies into passages.

    Args:
        tokenization: of the encoder.
        tokens: of a passage at most, its title and prompt included; the encoder's window without it.
    """

    def __init__(self, tokenization: Tokenization, tokens: int | None = None) -> None:
        self._tokenization = tokenization
        self.tokens = min(tokens or tokenization.max_length, tokenization.max_length)
        self._overhead = self._sizes([""])[0]

    @cached_property
    def _kiwi(self) -> Any:
        from kiwipiepy import Kiwi

        # Without dictionaries of names and typos, which sentence borders do not need, it loads in a third of the time.
        return Kiwi(
            num_workers=1, load_default_dict=False, load_typo_dict=False, load_multi_dict=False,
            integrate_allomorph=False,
        )  # fmt: skip

    def sentences(self, text: str) -> list[Span]:
        """Where each sentence begins and ends; a line feed ends one too."""
        pieces = list(_PIECE.finditer(text))
        found = self._kiwi.split_into_sents([piece.group() for piece in pieces])
        return [
            (piece.start() + sentence.start, piece.start() + sentence.end)
            for piece, sentences in zip(pieces, found, strict=True)
            for sentence in sentences
            if sentence.end > sentence.start
        ]

    def passages(self, title: str, body: str) -> list[Passage]:
        """The passages of a document, in order.

        Raises:
            RecordError: there are more than MAX_PASSAGES.
        """
        title = self._shortened(title)
        room = self.tokens - self._sizes([title + "\n"])[0]
        spans = self.sentences(body) or [(0, len(body))]
        parts = [part for span in spans for part in self._parts(body, span, room)]
        sizes = [size - self._overhead for size in self._sizes([body[start:end] for start, end in parts])]
        groups: list[list[Span]] = []
        filled = room + 1
        for part, size in zip(parts, sizes, strict=True):
            if filled + size > room:
                groups.append([])
                filled = 0
            groups[-1].append(part)
            filled += size
        if len(groups) > MAX_PASSAGES:
            raise RecordError(f"body makes {len(groups)} passages: at most {MAX_PASSAGES} are taken")
        return [_passage(title, body, group) for group in groups]

    def _parts(self, body: str, span: Span, room: int) -> list[Span]:
        """A sentence, cut where it has more tokens than there is room for."""
        start, end = span
        if end - start <= room // 2 or self._sizes([body[start:end]])[0] - self._overhead <= room:
            return [span]
        if end - start < 2:
            return [span]
        middle = (start + end) // 2
        space = body.rfind(" ", start + 1, middle)
        middle = space if space > start + (end - start) // 4 else middle
        return [*self._parts(body, (start, middle), room), *self._parts(body, (middle, end), room)]

    def _shortened(self, title: str) -> str:
        most = self.tokens // TITLE_SHARE
        while len(title) > 1 and self._sizes([title])[0] - self._overhead > most:
            title = title[: len(title) * 3 // 4]
        return title

    def _sizes(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, prompt included; at most one more than the window."""
        return [len(ids) for ids in self._tokenization.encode(texts, ["passage"] * len(texts))]


def _passage(title: str, body: str, group: Sequence[Span]) -> Passage:
    start, end = group[0][0], group[-1][1]
    text = body[start:end]
    return Passage(text, start, [stop - start for _, stop in group], f"{title}\n{text}")
