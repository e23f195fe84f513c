"""Index follower: loads the generation that index/CURRENT names in the background, and keeps the last good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from malgil_core.encoder import EncoderMetadata, EncoderMetadataError
from malgil_core.index.generation import Generation, GenerationError
from malgil_core.index.reader import current, folder_of, load
from malgil_core.serving.metrics import Metrics
from malgil_core.serving.polling import Poller

S = TypeVar("S")  # what answers by a generation: a Scorer, or a Suggester
S_co = TypeVar("S_co", covariant=True)
# Errors whose text says what to do.
SENTENCES = (GenerationError, EncoderMetadataError, FileNotFoundError)


@dataclass(frozen=True)
class Serving(Generic[S_co]):
    """The generation that a batch is answered from, and its scorer."""

    generation: Generation
    scorer: S_co


class IndexFollower(Poller, Generic[S]):
    """Watcher of an index folder, and holder of the generation that serves.

    Args:
        index: the folder with CURRENT.
        encoder: the metadata file of the encoder that serves; generations of another are refused. Read once: the
            encoder in memory stays what it is when another is exported beside it.
        make_scorer: generation → its scorer, on the device.
        log: called with (level, sentence), level "info" or "error".
        metrics: counts refused generations, and shows the one that serves.
        with_lexical: whether to load the lexical index too.
        load: reads a generation from its folder, made by the encoder with this fingerprint, and with lexical index or
            without.
    """

    def __init__(
        self,
        index: Path,
        encoder: Path,
        make_scorer: Callable[[Generation], S],
        log: Callable[[str, str], None],
        metrics: Metrics | None = None,
        with_lexical: bool = True,
        load: Callable[[Path, str | None, bool], Generation] = load,
    ) -> None:
        super().__init__("index-follower")
        self._index, self._encoder, self._make_scorer, self._log = index, encoder, make_scorer, log
        self._metrics, self._with_lexical, self._load = metrics, with_lexical, load
        self._serving: Serving[S] | None = None
        self._fingerprint: str | None = None
        self._refused: tuple[int | None, str] | None = None

    @property
    def serving(self) -> Serving[S] | None:
        """The generation that serves now; read once for a batch, so that every answer comes from one generation."""
        return self._serving

    @property
    def unavailable(self) -> str:
        """The reason why no generation serves, in a sentence for the caller."""
        if self._refused:
            return f"no generation serves: {self._refused[1]}"
        return "no catalog is published: run `python -m export catalog publish FILE`"

    def refresh(self) -> None:
        """Load the current generation unless it serves already; a bad one is refused with one line in the log."""
        number: int | None = None
        try:
            if self._fingerprint is None:
                self._fingerprint = EncoderMetadata.read(self._encoder).fingerprint
            number = current(self._index)
            if number is None or (self._serving and self._serving.generation.number == number):
                self._refused = None  # pointing at a refused one once more tries it once more
                return
            if self._refused and self._refused[0] == number:
                return
            generation = self._load(folder_of(self._index, number), self._fingerprint, self._with_lexical)
            self._serving = Serving(generation, self._make_scorer(generation))
            self._refused = None
            self._log("info", f"serving generation {number}: {len(generation.thresholds)} open services")
            if self._metrics:
                self._metrics.show_generation(generation)
        except Exception as error:  # a device out of memory too: the thread that follows must not die of it
            refused = (number, str(error) if isinstance(error, SENTENCES) else f"{type(error).__name__}: {error}")
            if refused != self._refused:
                self._refused = refused
                subject = "the index" if number is None else f"generation {number}"
                self._log("error", f"{subject} is refused: {refused[1]}")
                if self._metrics:
                    self._metrics.count_refused_publish()
