"""A segment: one file of the log, JSON Lines in one frame of zstd, that its writer alone touches until it is sealed.

A segment that is being written has the suffix `.open` behind its name. What is written to it is whole blocks of the
frame, so that a reader gets every line of them though the frame is not ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import zstandard

SUFFIX = ".jsonl.zst"
OPEN = ".open"
LEVEL = 3  # zstd's own default
# A raw block of no bytes that is marked as the last: https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1.2
_LAST_BLOCK = b"\x01\x00\x00"
_FILE_MODE = 0o640


class Segment:
    """A segment that this process writes; for one thread.

    Args:
        path: where it is when it is sealed; until then it is there with the suffix `.open`.
        opened: when, by the clock of its caller.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, opened: float) -> None:
        self.opened = opened
        self.size = 0  # bytes that are on the disk
        self._path, self._open_path = path, path.with_name(path.name + OPEN)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._open_path, flags, _FILE_MODE)
        self._frame = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        self._ended = False
        try:
            sync_folder(path.parent)
        except BaseException:
            self.abandon()
            raise

    def write(self, lines: Iterable[bytes]) -> None:
        """Write lines, and wait until they are on the disk. After an error nothing but `abandon` may follow.

        Raises:
            OSError: they are not.
        """
        text = b"".join(line + b"\n" for line in lines)
        self._put(self._frame.compress(text) + self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))

    def seal(self) -> None:
        """End the frame, and give the file its name. After an error nothing but `abandon` may follow.

        Raises:
            OSError: either failed.
        """
        self._put(self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
        self._ended = True
        self._open_path.rename(self._path)
        sync_folder(self._path.parent)
        os.close(self._descriptor)

    def abandon(self) -> None:
        """Leave it with the lines that are on the disk, and sealed if that can be had."""
        try:
            with contextlib.suppress(OSError):
                if not self.size:
                    self._open_path.unlink()
                    return
                if not self._ended:
                    os.ftruncate(self._descriptor, self.size)
                    self._put(_LAST_BLOCK)
                self._open_path.rename(self._path)
        finally:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def _put(self, packed: bytes) -> None:
        view = memoryview(packed)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fsync(self._descriptor)
        if not os.fstat(self._descriptor).st_nlink:  # somebody removed it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._open_path))
        self.size += len(packed)


def new_name(seconds: float) -> str:
    """The name of a new segment: when it was begun, in UTC, the host, the process, and a random number.

    No other process chooses the same, on whatever host, and however its clock jumps.
    """
    began = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(seconds))
    host = re.sub(r"[^A-Za-z0-9.]+", "-", os.uname().nodename)[:64] or "host"
    return f"{began}-{host}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"


def write_sealed(path: Path, lines: Iterable[bytes]) -> None:
    """Write a whole segment in place of the one at this path, if there is one: all of it, or nothing.

    Raises:
        OSError: nothing was written.
    """
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as file:
            with zstandard.ZstdCompressor(level=LEVEL).stream_writer(file, closefd=False) as frame:
                for line in lines:
                    frame.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk.

    Raises:
        OSError: they are not.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
