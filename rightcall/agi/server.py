"""The FastAGI server: each connection from Asterisk is a dialogue; one thread runs all dialogues."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import structlog

from pdp.runtime.http import HttpServer, Readiness
from pdp.runtime.version import version
from pdp.runtime.watchdog import LoopWatch
from rightcall.agi.link import Link
from rightcall.agi.listening import listeners
from rightcall.agi.metrics import AgiMetrics
from rightcall.agi.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client

_log = structlog.get_logger()


class AgiServer:
    """Serves Asterisk until stopped; as a context manager, inside the block.

    Args:
        settings: addresses and behaviour.
        connect: makes the client of the Rightcall server, on the thread that uses the client.
        target: the server's name in log lines.

    Attributes:
        address: the listening address.
        metrics: the adapter's metrics.
        http: the address of metrics and health; empty: none.

    Raises:
        ListenError: an address cannot be listened on.
    """

    def __init__(self, settings: AgiSettings, connect: Callable[[], Client], target: str = "the server") -> None:
        self._listeners = listeners(settings.listen, reuse_port=settings.reuse_port)
        self.address = ", ".join(listener.address for listener in self._listeners)
        self._settings = settings
        self._connect = connect
        self.metrics = AgiMetrics(version())
        self._link = Link(target, self.metrics)
        try:
            self._http = (
                HttpServer(settings.http, self.metrics.registry, self._readiness, alive=lambda: not self._watch.stuck)
                if settings.http
                else None
            )
        except Exception:
            self._close()
            raise
        self.http = self._http.address if self._http else ""
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="agi", daemon=True)
        self._watch = LoopWatch("agi-watch", self._loop, self._thread)
        self.metrics.watch(lambda: self._watch.stuck)

    def start(self) -> None:
        """Serves; before that, connections wait."""
        if self._http:
            self._http.start()
        self._thread.start()
        self._watch.start()

    def stop(self) -> None:
        """Takes no more connections; the dialogues that are held may end, for a while."""
        self._watch.stop()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        else:
            self._loop.close()
        self._close()
        if self._http:
            self._http.stop()

    def __enter__(self) -> Self:
        """Starts."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    def _readiness(self) -> Readiness:
        """Whether calls can be decided now."""
        if self._watch.stuck:
            return Readiness(ready=False, reason="not ready: the adapter is stuck; its log says where")
        return self._link.readiness()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.socket.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception:  # noqa: BLE001 - the thread's last frame: nothing above logs it
            _log.exception("agi_server_failed")

    async def _serve(self) -> None:
        async with self._connect() as client:
            keeping = asyncio.create_task(self._link.keep(client))
            reception = Reception(client, self._settings, self.metrics)
            for listener in self._listeners:
                listener.serve(reception.take)
            await self._stopping.wait()
            await asyncio.gather(*(listener.retire(reception.take) for listener in self._listeners))
            await reception.drain()
            keeping.cancel()
