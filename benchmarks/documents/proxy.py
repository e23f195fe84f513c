"""A TCP proxy before an engine, which can delay what the engine answers, hold it back, or refuse connections."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType


class Proxy:
    """A proxy on a free port of loopback, run by a thread of its own.

    Args:
        port: of the engine, on loopback; `port` may be set anew when it is started again elsewhere.

    Attributes:
        delay: seconds by which each answer is late; infinite: it is held back for good.
        is_open: whether connections are accepted; those that are there end when it is set to False by `close_all`.
    """

    def __init__(self, port: int) -> None:
        self.port, self.delay, self.is_open = port, 0.0, True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._carry, "127.0.0.1", 0), self._loop)
        self._server = started.result(10)
        self.uri = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.close_all()
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close_all(self) -> None:
        """End all connections, and accept none until `is_open` is set."""
        self.is_open = False

        async def close() -> None:
            for writer in list(self._writers):
                writer.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self.is_open:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            self._writers.add(back)
            await asyncio.gather(self._pass(reader, back, False), self._pass(there, writer, True))
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(2**16):
                due = self._loop.time()
                while answers and self._loop.time() < due + self.delay:  # read anew: the delay may end
                    await asyncio.sleep(0.005)
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()
            self._writers.discard(target)
