"""Serving: the store opened, the application made, uvicorn listening."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from pathlib import Path
from typing import Any

import uvicorn
from threadpoolctl import threadpool_limits

from console.app import make_app
from console.draft import Draft
from console.publishing import Publishing
from console.search_data import SearchData
from console.security.hosts import LOOPBACK
from console.security.secret import read_secret
from console.settings import Settings, SettingsError, check_exposure
from console.suggestions import Suggestions
from export.catalog import access
from store.store import Store

_FILE = "sqlite:///"


class Server(uvicorn.Server):
    """uvicorn, which prints the address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                print(f"console: http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def settings_from(given: dict[str, Any]) -> Settings:
    """The settings of a command line.

    Raises:
        SettingsError: an address of a proxy is none.
        ExportError: the key's file cannot be read.
    """
    for proxy in given["proxies"]:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise SettingsError(f"--trusted-proxy {proxy}: not an address or network") from None
    key = access.key(given["key_file"], os.environ.get("MALGIL_KEY"))
    server = access.Access(given["url"], given["tls_ca"], given["tls_cert"], given["tls_key"], given["tls_name"], key)
    return Settings(
        database=given["database"],
        index=given["index"],
        repository=given["repository"],
        access=server,
        secret_file=given["secret_file"] or secret_file(given["database"], given["index"]),
        servers=given["servers"],
        null_topics=given["null_topics"],
        settings_file=given["settings"],
        events=given["events"],
        listen=given["listen"],
        port=given["port"],
        names=given["names"],
        user_header=given["user_header"],
        proxies=given["proxies"] or LOOPBACK,
        forwarded=bool(given["proxies"]),
    )


def secret_file(database: str, index: Path) -> Path:
    """Where the secret is kept: beside a database that is a file, else in the index's folder."""
    folder = Path(database.removeprefix(_FILE)).parent if database.startswith(_FILE) else index
    return folder / "console.secret"


def serve(given: dict[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        SettingsError: others could reach the console, and nobody would be asked who they are.
    """
    settings = settings_from(given)
    store = Store.open(settings.database)
    draft = Draft(
        store,
        settings.access.client,
        settings.index,
        settings.repository,
        settings.null_topics,
        settings.settings_file,
    )
    suggestions = Suggestions.of(draft)
    search_data = SearchData(settings.events) if settings.events else None
    try:
        check_exposure(settings, sum(account.active for account in store.accounts()))
        secret = read_secret(settings.secret_file)
        threadpool_limits(1, user_api="blas")  # idle threads of a product would spin, and take the encoder's time
        draft.start()
        app = make_app(settings, store, secret, draft, Publishing(settings, store, draft), suggestions, search_data)
        config = uvicorn.Config(
            app,
            host=settings.listen,
            port=settings.port,
            proxy_headers=False,  # the application believes those that --trusted-proxy names
            server_header=False,
            access_log=False,  # queries are what people typed
            log_level="warning",
            limit_concurrency=200,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
        )
        # uvicorn sends it to this process again once it has stopped: what follows here is done all the same.
        signal.signal(signal.SIGTERM, lambda *_: None)
        Server(config).run()
    finally:
        if suggestions:
            suggestions.stop()
        if search_data:
            search_data.stop()
        draft.stop()
        store.close()
