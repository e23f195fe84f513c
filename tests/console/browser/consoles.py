"""`python -m console` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from export import ROOT
from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS


class Console:
    """A console's process over a store, which begins with the sample catalog.

    Args:
        database: URL of the store.
        index: folder that it publishes into.
        repository: of the server.
        server: the server's address of gRPC.
        accounts: hash of a password: minji, who may publish, and junho, who may edit, have it. None: no accounts.
        variables: more of its environment.
    """

    def __init__(
        self, database: str, index: Path, repository: Path, server: str, accounts: str | None = None, **variables: str
    ) -> None:
        self.store = Store.open(database)
        self.store.replace(CATALOG.read_bytes(), CATALOG.name, by="import")
        if accounts is not None:
            self.store.save_account("minji", "publish", accounts, by="test")
            self.store.save_account("junho", "edit", accounts, by="test")
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self._environment = {**os.environ, "MALGIL_CONSOLE_DATABASE": database, **variables}
        self._command = [
            sys.executable, "-m", "console", "--port", "0", "--index", str(index), "--repository", str(repository),
            "--null-topics", str(NULL_TOPICS), "--url", server, "--secret-file", str(index.parent / "console.secret"),
            "--events", str(index.parent / "events"),
        ]  # fmt: skip

    def start(self) -> None:
        """Start it; it answers at `url` then."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        found = re.fullmatch(r"console: (http://\S+)\n", line)
        if not found:
            self.kill()
            raise AssertionError(line)
        self.url = found[1]

    def stop(self) -> None:
        """Stop it as its user would; whatever it wrote besides its address is a fault."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            out, err = self._process.communicate(timeout=30)
        finally:
            self.kill()
        assert (out, err) == ("", "")

    def kill(self) -> None:
        """Kill it, as when a machine runs out of memory."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

    def __enter__(self) -> Console:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.kill() if error else self.stop()
        finally:
            self.store.close()
