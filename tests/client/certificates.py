"""An authority of the tests' own, and what it vouches for."""

from __future__ import annotations

from pathlib import Path

import trustme
from malgil import Tls

SERVER_NAME = "search.example"


def write(folder: Path, name: str, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    """The certificate, its chain after it, and its private key, as PEM files."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    return cert, key


class Authority:
    """Files of an authority: `ca`, `cert` and `key` of a server named SERVER_NAME, and `tls`, a client's settings."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.cert, self.key = write(folder, "server", self.authority.issue_cert(SERVER_NAME))
        self.client_cert, self.client_key = write(folder, "client", self.authority.issue_cert("app.example"))
        self.trusting = Tls(ca=self.ca, server_name=SERVER_NAME)
        self.tls = Tls(self.ca, self.client_cert, self.client_key, SERVER_NAME)
