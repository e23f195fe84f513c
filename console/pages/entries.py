"""What the pages of services, null topics and the audit share: entries of the history in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from console.changes import FieldChange, differences
from console.security import csrf
from console.security.roles import User
from store.store import Store
from store.types import Change

ACTIONS: dict[str, str] = {
    "create": "만듦",
    "change": "고침",
    "delete": "지움",
    "restore": "되돌림",
    "import": "가져옴",
    "export": "내려받음",
    "publish": "게시",
    "rollback": "게시 되돌림",
    "login": "로그인",
    "login refused": "로그인 실패",
    "suggest": "제안받음",
}
KINDS: dict[str, str] = {
    "service": "서비스",
    "null_topic": "앱에 없는 것",
    "catalog": "카탈로그",
    "account": "계정",
    "tests": "검색 테스트",
    "file": "파일",
}


@dataclass(frozen=True)
class Entry:
    """A change, as `history_entry` of parts.html shows it.

    Attributes:
        restores: what the button that restores it says; empty where there is nothing to restore.
    """

    number: int
    at: datetime
    by: str
    action: str
    kind: str
    name: str
    href: str
    note: str
    changes: list[FieldChange]
    restores: str
    csrf_input: Markup


def entry(request: Request, change: Change, first: bool = False) -> Entry:
    """A change in words. `first`: it is the entry's present state, to which nothing need be restored."""
    user: User = request.state.user
    line = change.after or change.before
    restores = ""
    if user.may("edit") and change.kind in ("service", "null_topic") and line:
        if change.after is None:
            restores = "지운 것 되살리기"
        elif not first:
            restores = "이때로 되돌리기"
    token = Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, csrf.token(request))
    return Entry(
        change.number,
        change.at,
        change.by,
        ACTIONS.get(change.action, change.action),
        KINDS.get(change.kind, change.kind),
        change.name,
        _href(change),
        change.note,
        differences(change.before, change.after) if change.before and change.after else [],
        restores,
        token,
    )


def history(request: Request, kind: str, key: int, limit: int, before: int | None = None) -> list[Entry]:
    """The changes of an entry, newest first. Blocks."""
    store: Store = request.app.state.store
    changes = store.history(kind=kind, key=key, before=before, limit=limit)
    return [entry(request, change, first=before is None and at == 0) for at, change in enumerate(changes)]


def at_version(store: Store, kind: str, key: int, version: int) -> dict[str, Any] | None:
    """An entry as it was in a version, or None where the history does not say. Blocks."""
    for change in store.history(kind=kind, key=key, limit=500):
        if change.version == version:
            return change.after
    return None


def _href(change: Change) -> str:
    if change.kind == "service" and change.after:
        return f"/services/{change.after['id']}"
    if change.kind == "null_topic" and change.after:
        return f"/null-topics/{change.key}"
    return ""
