"""Latin words of the catalog that serves: the tokenizer leaves them in Latin letters."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import current, folder_of

POLL_SECONDS = 0.5  # as the scorer's follower


class LatinWords:
    """Follower of an index folder that holds `latin_words` of the current generation's manifest.

    A generation that cannot be read leaves the words as they are: the scorer tells why, and refuses it too.

    Args:
        index: the folder with CURRENT.
        log: called with a sentence when the words cannot be read.
    """

    def __init__(self, index: Path, log: Callable[[str], None]) -> None:
        self._index, self._log = index, log
        self._number: int | None = None
        self._words: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="latin-words", daemon=True)

    def __contains__(self, word: object) -> bool:
        """Whether the catalog writes this word, in lower case, in Latin letters."""
        return word in self._words

    def start(self) -> None:
        """Read the current words, then follow the index in the background."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join()

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

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()
