"""The server's certificates, checked before anything starts, so that a mistake is told in one sentence."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from server.triton import SetupError

WARN_DAYS = 14


@dataclass(frozen=True)
class Certificates:
    """The PEM files of a server that speaks TLS.

    Args:
        cert: the server's certificate, and those that lead from it to its authority.
        key: its private key, not encrypted.
        client_ca: authorities of clients' certificates, which are then asked for; None: they are not.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def check(self) -> str | None:
        """Check the files by a TLS handshake in memory.

        Returns:
            A warning where the certificate expires within WARN_DAYS, else None.

        Raises:
            SetupError: a file is missing, unreadable or not what it should be; key and certificate do not belong
                together; the key is encrypted; the certificate is not valid now, or not for servers.
        """
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        _load_authorities(client, "--tls-cert", self.cert)
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, not its authority
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load_pair(server, self.cert, self.key)
        if self.client_ca:
            _load_authorities(server, "--tls-client-ca", self.client_ca)
        try:
            peer = _handshake(server, client)
        except ssl.SSLCertVerificationError as error:
            raise SetupError(f"--tls-cert {self.cert}: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise SetupError(f"--tls-cert {self.cert} and --tls-key {self.key}: {error.reason}") from None
        days = (ssl.cert_time_to_seconds(str(peer["notAfter"])) - time.time()) / 86400
        if days > WARN_DAYS:
            return None
        return f"--tls-cert {self.cert} expires in {days:.0f} days, at {peer['notAfter']}: renew it and start again"


def _load_authorities(context: ssl.SSLContext, option: str, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise SetupError(f"{option} {path} holds no certificate in PEM") from None
    except OSError as error:
        raise SetupError(f"{option} {path} cannot be read: {error.strerror}") from None


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def ask() -> str:
        raise SetupError(f"--tls-key {key} is encrypted, and nobody is there to type its password: decrypt it")

    try:
        context.load_cert_chain(cert, key, ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SetupError(f"--tls-key {key} is not the key of --tls-cert {cert}") from None
        raise SetupError(f"--tls-key {key} holds no private key in PEM that goes with --tls-cert") from None
    except OSError as error:
        raise SetupError(f"--tls-key {key} cannot be read: {error.strerror}") from None


def _handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> dict[str, object]:
    """The server's certificate, as a client receives it in a handshake."""
    upwards, downwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(downwards, upwards)
    server = server_context.wrap_bio(upwards, downwards, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    return dict(client.getpeercert() or {})
