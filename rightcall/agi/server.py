"""The FastAGI server: connections from Asterisk, each a conversation of its own, on one thread for all of them."""

from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

import structlog

from pdp.runtime.address import Address, listening_socket, parse_address
from rightcall.agi.channel import MAX_LINE, Channel
from rightcall.agi.errors import AgiError, ChannelGone
from rightcall.agi.rights import SCRIPTS, CallRights

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client

_log = structlog.get_logger()

_GREETING_SECONDS = 5.0
"""What Asterisk has for its first words."""


class AgiServer:
    """Answers Asterisk until it is stopped; as a context manager, it serves inside the block.

    Args:
        settings: where it listens, and how it decides.
        connect: makes the client of the Rightcall server, on the thread where it is used.

    Raises:
        ListenError: the address cannot be listened on.
    """

    def __init__(self, settings: AgiSettings, connect: Callable[[], Client]) -> None:
        address = parse_address(settings.listen)
        self._socket = listening_socket(address)
        self.address = str(Address(address.host or "localhost", self._socket.getsockname()[1]))
        self._settings = settings
        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._conversations: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="agi", daemon=True)

    def start(self) -> None:
        """Serves; before that, connections wait."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more conversations; those that are held may end, for a while."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        else:
            self._loop.close()
        self._socket.close()

    def __enter__(self) -> Self:
        """Starts."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception:  # noqa: BLE001 - on a thread of its own, nobody else would hear of it
            _log.exception("agi_server_failed")

    async def _serve(self) -> None:
        async with self._connect() as client:
            rights = CallRights(client, self._settings)

            async def converse(reader: StreamReader, writer: StreamWriter) -> None:
                await self._converse(rights, reader, writer)

            server = await asyncio.start_server(converse, sock=self._socket, limit=MAX_LINE)
            await self._stopping.wait()
            server.close()
            await self._drain()

    async def _drain(self) -> None:
        conversations = set(self._conversations)
        if not conversations:
            return
        _, unfinished = await asyncio.wait(conversations, timeout=self._settings.drain_seconds)
        for conversation in unfinished:
            conversation.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _converse(self, rights: CallRights, reader: StreamReader, writer: StreamWriter) -> None:
        """One conversation, from its first word to its end; what goes wrong in it harms no other."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._conversations.add(task)
        try:
            if self._admitted(writer):
                await _decide(rights, Channel(reader, writer))
        except Exception:  # noqa: BLE001 - a defect in one conversation must not end the adapter
            _log.exception("agi_failed")
        finally:
            self._conversations.discard(task)
            writer.close()

    def _admitted(self, writer: StreamWriter) -> bool:
        peer = ip_address(writer.get_extra_info("peername")[0].partition("%")[0])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        if not any(peer in network for network in self._settings.allow):
            _log.warning(
                "agi_peer_refused", peer=str(peer), advice="name its network with --allow if it is an Asterisk"
            )
            return False
        if len(self._conversations) > self._settings.max_conversations:
            _log.error("agi_too_many_conversations", limit=self._settings.max_conversations)
            return False
        return True


async def _decide(rights: CallRights, channel: Channel) -> None:
    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            environment = await channel.environment()
        script = environment.get("agi_network_script", "")
        if script in SCRIPTS:
            await rights.decide(channel)
        else:
            _log.error("agi_script_unknown", script=script[:64], advice=f"in the dialplan, ask for {SCRIPTS[-1]}")
    except ChannelGone as gone:
        _log.debug("agi_channel_gone", error=str(gone))
    except TimeoutError:
        _log.warning("agi_peer_silent", advice="check that Asterisk is what connects here")
    except AgiError as error:
        _log.error("agi_not_understood", error=str(error))
