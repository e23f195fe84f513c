"""Reaching the server that embeds: the client's address, key and TLS settings, from options or its variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from export import options
from export.errors import ExportError

F = TypeVar("F", bound=Callable[..., Any])
TIMEOUT = 60.0  # seconds of a batch, retries included


@dataclass(frozen=True)
class Access:
    """The address of a server, and what it requires.

    Attributes:
        url: as malgil.SearchClient takes it.
        ca, cert, cert_key, name: as malgil.Tls takes them.
        key: the server's key.
    """

    url: str
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None
    name: str | None = None
    key: str | None = None

    def client(self) -> Any:
        """A `malgil.SearchClient`, which connects on first use.

        Raises:
            ExportError: the address, the key or a certificate cannot be used; the text says why.
        """
        import malgil

        tls = self.ca, self.cert, self.cert_key, self.name
        try:
            return malgil.SearchClient(
                self.url, timeout=TIMEOUT, tls=malgil.Tls(*tls) if any(tls) else None, key=self.key
            )
        except ValueError as error:
            raise ExportError(str(error)) from None


def server(command: F) -> F:
    """Add the client's options; they are given to the command as `url`, `tls_…` and `key_file`."""
    for option in (
        # No option takes the key itself: other users can list command lines.
        click.option("--key-file", type=options.PATH, metavar="FILE", help="File with the server's key."),
        _option("--tls-name", "NAME", "Name in the server's certificate, where --url has another.", str),
        _option("--tls-key", "FILE", "Private key of --tls-cert (PEM, not encrypted).", options.PATH),
        _option("--tls-cert", "FILE", "The client's certificate (PEM).", options.PATH),
        _option("--tls-ca", "FILE", "Certificates of the authorities to trust (PEM).", options.PATH),
        _option("--url", "URL", "Address of the server: [grpc[s]://]HOST:PORT or http[s]://HOST:PORT.", str,
                default="127.0.0.1:8001", show_default=True),
    ):  # fmt: skip
        command = option(command)
    return command


def key(file: Path | None, variable: str | None) -> str | None:
    """The key in the file of --key-file, else the value of MALGIL_KEY, else None.

    Raises:
        ExportError: the file cannot be read.
    """
    if file is None:
        return variable or None
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ExportError(f"--key-file: {file} cannot be read: {reason}") from None


def _option(name: str, metavar: str, text: str, kind: Any, **more: Any) -> Callable[[F], F]:
    variable = f"MALGIL_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, metavar=metavar, help=text, type=kind, envvar=variable, show_envvar=True, **more)
