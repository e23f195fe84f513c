"""The console's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from console.security.hosts import LOOPBACK, is_loopback
from export.catalog.access import Access


class SettingsError(Exception):
    """Settings that do not go together; the text says why."""


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Attributes:
        database: the store's URL.
        index, repository: folders of the index and of the model repository.
        access: the server that embeds, and whose answers are shown as live.
        servers: further servers whose generation is shown.
        null_topics: files of null topics that a publish adds.
        settings_file: weights, thresholds and limits that a publish takes (`calibrate --write`).
        events: folder of the log of searches.
        listen, port: where the console listens.
        names: names under which users reach it, beside localhost and addresses.
        user_header: header in which a proxy says who the user is.
        proxies: addresses or networks of that proxy.
        secret_file: the secret that signs sessions.
    """

    database: str
    index: Path
    repository: Path
    access: Access
    secret_file: Path
    servers: tuple[str, ...] = ()
    null_topics: tuple[Path, ...] = ()
    settings_file: Path | None = None
    events: Path | None = None
    listen: str = "127.0.0.1"
    port: int = 8010
    names: tuple[str, ...] = ()
    user_header: str | None = None
    proxies: tuple[str, ...] = field(default=LOOPBACK)
    forwarded: bool = False  # X-Forwarded-For and -Proto of the proxies count

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the console, as far as the console can know."""
        return is_loopback(self.listen) and not self.names and not self.forwarded and self.user_header is None


def check_exposure(settings: Settings, accounts: int) -> None:
    """Refuse to be reached by others while everybody would be let in.

    Raises:
        SettingsError: it would listen beyond loopback, or under a name, with neither accounts nor a proxy that says who
            the user is.
    """
    if settings.user_header or accounts or settings.local:
        return
    where = (
        f"--listen {settings.listen}"
        if not is_loopback(settings.listen)
        else "a proxy or name (--name, --trusted-proxy)"
    )
    raise SettingsError(
        f"{where}: other machines reach the console, and it has no accounts: add one "
        "(python -m console account add NAME --role publish), or give --trusted-user-header"
    )
