"""Errors of suggestions: an English sentence, and a code that a page can say in another language."""

from __future__ import annotations

from typing import Literal

from export.errors import ExportError

Code = Literal[
    "settings",  # no address or model, or one that cannot be used
    "prompt",  # the prompt's file cannot be read, or has placeholders that are not there
    "unreachable",  # nothing answers at the address
    "timeout",  # nothing, or too little, within the time
    "key",  # 401, 403
    "model",  # 404: no such model, or no such path
    "busy",  # 429 after all tries
    "server",  # 5xx after all tries
    "refused",  # any other status
    "protocol",  # an answer that is not of the OpenAI chat protocol
    "encoding",  # an answer that is not UTF-8
    "empty",  # an answer without text
    "cut",  # the connection broke before the first phrase was whole
    "unusable",  # text without one phrase in it that could be used
    "cancelled",
]


class SuggestError(ExportError):
    """No phrases were proposed.

    Attributes:
        code: why, for programs.
        detail: what the endpoint said, cut and without the key; "" if nothing.
    """

    def __init__(self, code: Code, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.code: Code = code
        self.detail = detail
