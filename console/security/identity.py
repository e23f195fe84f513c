"""Who sent a request: a session, a proxy's header, or on loopback without accounts the person at this machine."""

from __future__ import annotations

import getpass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.security import accounts, hosts, sessions
from console.security.roles import User
from console.settings import Settings
from store.errors import NotFoundError
from store.store import Store
from store.types import Account


class Identity:
    """Finds the user of a request. It asks the store each time: a removed account or a lesser role counts at once."""

    def __init__(self, settings: Settings, store: Store, secret: str) -> None:
        self.ended = sessions.Ended()
        self._settings, self._store, self._secret = settings, store, secret

    def user(self, request: Request) -> User | None:
        """The user, or None where a login is needed. Blocks.

        Raises:
            HTTPException: 403, where a login in the console would not help.
        """
        if self._settings.user_header:
            return self._of_proxy(request, self._settings.user_header)
        if login := sessions.current(request, self.ended):
            return self._of_session(login)
        if self._settings.local and not hosts.was_forwarded(request) and not self._store.accounts():
            return User(local_name(), "publish", "local")
        return None

    def account(self, name: str) -> Account | None:
        """The account of a name; None if there is none. Blocks."""
        try:
            return self._store.account(name)
        except NotFoundError:
            return None

    def stamp(self, account: Account) -> str | None:
        """What a session of an account carries; None for one that is closed or has no password. Blocks."""
        stored = self._store.password_hash(account.name) if account.active else None
        return accounts.stamp(self._secret, stored) if stored else None

    def _of_session(self, login: sessions.Login) -> User | None:
        account = self.account(login.name)
        if account is None or self.stamp(account) != login.stamp:
            return None
        return User(account.name, account.role, "session")

    def _of_proxy(self, request: Request, header: str) -> User:
        """The user that a proxy names; one without an account may read."""
        if not hosts.within(request.state.peer, self._settings.proxies):
            raise HTTPException(403, "회사 로그인 화면을 거쳐서 들어와 주세요.")
        values = request.headers.getlist(header)
        if len(values) != 1:
            raise HTTPException(403, "누구인지 알 수 없어요. 회사 로그인 화면을 거쳐서 다시 들어와 주세요.")
        try:
            name = accounts.check_name(values[0].encode("latin-1").decode("utf-8"))
        except ValueError:
            raise HTTPException(403, "이름을 읽을 수 없어요. 회사 로그인 담당자에게 알려 주세요.") from None
        account = self.account(name)
        if account is None:
            return User(name, "read", "proxy")
        if not account.active:
            raise HTTPException(403, "닫힌 계정이에요. 관리자에게 알려 주세요.")
        return User(name, account.role, "proxy")


def local_name() -> str:
    """The name of this machine's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "local"
