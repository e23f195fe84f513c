"""What a proposed phrase's characters alone tell: whether it is Korean, its length, texts that the catalog has."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from malgil_core.text.layout import latin_words

from export.suggest.proposals import Verdict

SHORTEST, LONGEST = 2, 40  # characters
_SYLLABLE = re.compile("[가-힣]")
_HANGUL = re.compile("[가-힣ㄱ-ㅣᄀ-ᇿ]")
Finding = tuple[Verdict, str]  # with its detail


@dataclass(frozen=True)
class Wording:
    """The texts and Latin words of a catalog, which proposals for a service are compared with.

    Attributes:
        texts: folded names and phrases, to what stands in the catalog and whose it is.
        null: folded null phrases, to the phrase and its topic.
        words: Latin words in lower case.
    """

    texts: dict[str, str]
    null: dict[str, str]
    words: frozenset[str]

    @classmethod
    def of(cls, catalog: Catalog, service: Service) -> Wording:
        """The wording of a catalog, with a service that may not be in it yet, or differ from the one in it."""
        services = [*(one for one in catalog.services if one.id != service.id), service]
        texts = {fold(text): f"{text} ({one.name})" for one in services for text in one.texts}
        null = {fold(text): f"{text} ({topic.name})" for topic in catalog.null_topics for text in topic.phrases}
        written = [text for one in services for text in (*one.texts, one.path)]
        return cls(texts, null, frozenset(latin_words(written)))

    def finding(self, text: str) -> Finding | None:
        """The first thing that speaks against a phrase; None if nothing does."""
        return _characters(text) or self._latin(text) or _length(text) or self._there(text)

    def _latin(self, text: str) -> Finding | None:
        unknown = [word for word in latin_words([text]) if word not in self.words]
        return ("latin", ", ".join(unknown)) if unknown else None

    def _there(self, text: str) -> Finding | None:
        folded = fold(text)
        if folded in self.texts:
            return "duplicate", self.texts[folded]
        return ("null_duplicate", self.null[folded]) if folded in self.null else None


def fold(text: str) -> str:
    """A text without what two writers of one phrase differ in: case, width, blanks, punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LMN") or folded


def _characters(text: str) -> Finding | None:
    odd = [letter for letter in text if unicodedata.category(letter)[0] == "C" or unicodedata.category(letter) == "So"]
    if odd:
        names = dict.fromkeys(unicodedata.name(letter, f"U+{ord(letter):04X}").lower() for letter in odd)
        return "unprintable", ", ".join(list(names)[:3])
    foreign = [letter for letter in text if letter.isalpha() and not _HANGUL.match(letter) and not _is_latin(letter)]
    if foreign:
        return "not_korean", "".join(dict.fromkeys(foreign))[:10]
    return None if _SYLLABLE.search(text) else ("not_korean", "no Hangul syllable")


def _is_latin(letter: str) -> bool:
    return "LATIN" in unicodedata.name(letter, "")


def _length(text: str) -> Finding | None:
    size = len(text)
    if size < SHORTEST:
        return "short", f"{size} character"
    return ("long", f"{size} characters, at most {LONGEST} are proposed") if size > LONGEST else None
