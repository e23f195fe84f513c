"""Latin words of the catalog that serves: the tokenizer leaves them in Latin letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import current, folder_of
from malgil_core.serving.polling import Poller


class LatinWords(Poller):
    """Follower of an index folder that holds `latin_words` of the current generation's manifest.

    A generation that cannot be read leaves the words as they are: the scorer tells why, and refuses it too.

    Args:
        index: the folder with CURRENT.
        log: called with a sentence when the words cannot be read.
    """

    def __init__(self, index: Path, log: Callable[[str], None]) -> None:
        super().__init__("latin-words")
        self._index, self._log = index, log
        self._number: int | None = None
        self._words: frozenset[str] = frozenset()

    def __contains__(self, word: object) -> bool:
        """Whether the catalog writes this word, in lower case, in Latin letters."""
        return word in self._words

    def refresh(self) -> None:
        """Read the words of the current generation, unless they are read already."""
        number: int | None = None
        try:
            number = current(self._index)
            if number is None or number == self._number:
                return
            manifest = json.loads((folder_of(self._index, number) / "manifest.json").read_text(encoding="utf-8"))
            self._words = frozenset(map(str, manifest.get("latin_words", ())))
        except (GenerationError, OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            if number is None:
                return
            self._log(f"latin_words of generation {number} cannot be read: {error}")
        self._number = number  # one line in the log for each generation
