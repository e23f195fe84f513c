"""A Milvus server of PyPI's package `milvus` in a network namespace, reached through a socket in the file system.

The server listens on all interfaces, whatever its settings say, and on ports that it chooses: so it gets a loopback of
its own. Run as `unshare --net python namespaced.py FOLDER SOCKET`; it stops when its standard input is closed.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def relay(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Carry the bytes of each connection to a new one of `connect`, until the listener is closed."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        try:
            connected = connect()
        except OSError:
            accepted.close()
            continue
        threading.Thread(target=_carry_both, args=(accepted, connected), daemon=True).start()


def _carry_both(accepted: socket.socket, connected: socket.socket) -> None:
    with accepted, connected:
        back = threading.Thread(target=_carry, args=(connected, accepted), daemon=True)
        back.start()
        _carry(accepted, connected)
        back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(2**16):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):  # so that the other direction ends, too
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Serve until standard input is closed."""
    from milvus import MilvusServer, MilvusServerConfig

    folder, path = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = MilvusServer(MilvusServerConfig(data_dir=folder))
    server.start()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".starting")
    listener.listen(64)
    address = ("127.0.0.1", server.listen_port)
    threading.Thread(target=relay, args=(listener, lambda: socket.create_connection(address)), daemon=True).start()
    Path(path + ".starting").rename(path)
    sys.stdin.read()
    server.stop()  # SIGTERM, and SIGKILL a second later


if __name__ == "__main__":
    main()
