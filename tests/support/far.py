"""A way to a server that counts the connections over it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter


class Far:
    """Passes on what comes, each part a while later, as over a long line; a context manager.

    Args:
        target: the server's address.
        seconds: that each direction takes.

    Attributes:
        address: where it listens.
        connections: how many there were.
    """

    def __init__(self, target: str, seconds: float) -> None:
        self.connections = 0
        self.address = ""
        self._target = target
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begins to listen."""
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends, with all connections."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stopping.wait()
        server.close()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        host, _, port = self._target.rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(self._one_way(reader, there_writer), self._one_way(there_reader, writer))
        finally:
            there_writer.close()
            writer.close()

    async def _one_way(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(65536):
            self._loop.call_later(self._seconds, writer.write, data)
        self._loop.call_later(self._seconds, writer.close)
