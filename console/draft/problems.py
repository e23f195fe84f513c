"""Korean sentences for what keeps the draft from being built or searched."""

from __future__ import annotations

import malgil
from malgil_core.catalog.errors import CatalogError
from malgil_core.encoder import EncoderMetadataError
from malgil_core.limits import MAX_TEXT_BYTES

from export.catalog.embedding import OtherEncoderError
from export.catalog.settings import SettingsError
from export.errors import ExportError


class DraftError(Exception):
    """A search of the draft that cannot be answered; the text is a Korean sentence for a service owner."""


AGAIN = "다시 연결되면 저절로 이어져요."
FAILURES = (
    malgil.MalgilError,
    CatalogError,
    EncoderMetadataError,
    ExportError,
    OSError,
)


def sentence(error: Exception) -> str:
    """The sentence for one of FAILURES."""
    found = next((text for kinds, text in _SENTENCES if isinstance(error, kinds)), None)
    if found is not None:
        return found
    if isinstance(error, CatalogError):
        return f"카탈로그에 고칠 곳이 {len(error.problems)}곳 있어요: {error.problems[0]}"
    if isinstance(error, SettingsError):
        return f"보정 설정 파일을 쓸 수 없어요: {error}"
    return f"초안을 만들 수 없어요: {error}"


def unusable_query(query: str) -> str:
    """The sentence for a query that a server refuses: too long, or without a visible character."""
    size = len(query.encode("utf-8", "replace"))
    if size > MAX_TEXT_BYTES:
        return f"검색어가 {size:,}바이트예요. {MAX_TEXT_BYTES:,}바이트까지 쓸 수 있어요."
    return "검색어에 보이는 글자가 없어요. 한 글자 이상 적어 주세요."


_SENTENCES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (malgil.Forbidden, "검색 서버가 키를 요구하는데, 콘솔의 키가 없거나 달라요. 관리자에게 알려 주세요."),
    (malgil.DeadlineExceeded, f"검색 서버가 제시간에 답하지 않아요. {AGAIN}"),
    (malgil.Overloaded, f"검색 서버에 요청이 몰려 있어요. {AGAIN}"),
    (malgil.Unavailable, f"검색 서버에 연결할 수 없어요. {AGAIN}"),
    (malgil.MalgilError, "검색 서버가 문장을 처리하지 못했어요. 관리자에게 서버의 로그를 봐 달라고 해 주세요."),
    (OtherEncoderError, "검색 서버의 인코더가 이 콘솔이 아는 것과 달라요. 관리자가 서버를 다시 시작해야 해요."),
    (
        (FileNotFoundError, EncoderMetadataError),
        "인코더나 콘솔의 파일을 읽을 수 없어요. 관리자에게 알려 주세요.",
    ),
)
