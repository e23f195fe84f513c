"""A certificate authority for tests, with a server's and a client's certificate."""

from __future__ import annotations

from pathlib import Path

import trustme
from malgil import Tls

SERVER_NAME = "search.example"


def write(folder: Path, name: str, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    """PEM files of the certificate, followed by its chain, and of its private key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    return cert, key


class Authority:
    """An authority with PEM files.

    `ca`: its certificate; `cert`, `key`: those of a server named SERVER_NAME; `client_cert`, `client_key`: a client's;
    `trusting`: settings of a client that trusts it; `tls`: the same with the client's certificate.
    """

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
