"""How the language model is reached: address, model and key of an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from export.suggest import prompt
from export.suggest.errors import SuggestError

URL, MODEL, KEY = "MALGIL_LLM_URL", "MALGIL_LLM_MODEL", "MALGIL_LLM_KEY"
TIMEOUT = 120.0  # seconds of one service, waiting for a busy endpoint included
TRIES = 4
TAKEN = ("model", "messages", "stream", "response_format")  # fields of the request that are not free


@dataclass(frozen=True)
class Settings:
    """An endpoint and what it is asked.

    Attributes:
        url: base address, with its version: http://127.0.0.1:8080/v1.
        model: its name there.
        key: sent as a bearer token; never shown.
        timeout: seconds of one service.
        tries: requests at most, where the endpoint is busy or fails.
        prompt: the prompt's file.
        extra: further fields of the request, such as {"temperature": 0.7}.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = TIMEOUT
    tries: int = TRIES
    prompt: Path = prompt.OURS
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the address, model and further fields.

        Raises:
            SuggestError: one cannot be used.
        """
        if not self.url:
            raise SuggestError("settings", f"no endpoint: set {URL}, such as http://127.0.0.1:8080/v1")
        if not self.model:
            raise SuggestError("settings", f"no model: set {MODEL} to its name at {self.shown}")
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not self.url.isprintable() or " " in self.url:
            raise SuggestError("settings", f"{self.shown} is no address: it must be http[s]://HOST[:PORT]/PATH")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise SuggestError("settings", f"{self.shown} is more than an address: put the key into {KEY}")
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise SuggestError("settings", f"{KEY} holds characters that no key has: it is sent in a header, in ASCII")
        if taken := [name for name in self.extra if name in TAKEN]:
            raise SuggestError("settings", f"{taken[0]} cannot be a further field of the request: it is set already")

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """The settings of the variables MALGIL_LLM_URL, MALGIL_LLM_MODEL and MALGIL_LLM_KEY.

        Args:
            environment: the variables.
            given: fields that count instead, unless they are None.

        Raises:
            SuggestError: address or model are missing, or cannot be used.
        """
        fields = {
            "url": environment.get(URL, ""),
            "model": environment.get(MODEL, ""),
            "key": environment.get(KEY, "").strip() or None,
        }
        return cls(**{**fields, **{name: value for name, value in given.items() if value is not None}})

    @property
    def shown(self) -> str:
        """The address for messages, without what could be a user, a password or a key, and in one line."""
        scheme, separator, rest = self.url.partition("://")
        text = f"{scheme}{separator}{rest.rpartition('@')[2]}".partition("?")[0]
        return "".join(filter(str.isprintable, text))[:200]
