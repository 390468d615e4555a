"""The AGI protocol: a line for a command, a line for its reply, over the connection that Asterisk opened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from rightcall.agi.errors import ChannelGone, ProtocolError

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

MAX_LINE: Final = 8192
"""Bytes; a variable's value is the longest thing that Asterisk sends."""
_MAX_ENVIRONMENT_LINES: Final = 200
_MAX_REPLY_LINES: Final = 50
_REPLY: Final = re.compile(r"200 result=(-?[0-9A-D*#]*)(?: \((.*)\))?(?: endpos=\d+)?")
_DEAD: Final = "511"
_USAGE: Final = "520"
_HANGUP: Final = "HANGUP"
"""What Asterisk says, between two replies, when the caller hangs up."""


class Reply(NamedTuple):
    """What Asterisk says to a command.

    Attributes:
        result: such as ``1``, ``-1``, or digits.
        data: what stands in parentheses; None where there are none.
    """

    result: str
    data: str | None


class Channel:
    """A call, as Asterisk shows it over AGI.

    Every method raises ``ChannelGone`` where the call or the connection has ended, and ``ProtocolError`` where Asterisk
    cannot be understood. They can be cancelled; the reply that came too late is then passed over.
    """

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._owed = 0
        """Replies that Asterisk has still to send."""

    async def environment(self) -> dict[str, str]:
        """What Asterisk tells at the start: ``agi_network_script``, ``agi_uniqueid`` and so on."""
        found: dict[str, str] = {}
        for _ in range(_MAX_ENVIRONMENT_LINES):
            line = await self._line()
            if not line:
                return found
            name, _, value = line.partition(":")
            found[name] = value.strip()
        raise ProtocolError("the environment does not end; check that Asterisk is what connects here")

    async def variable(self, name: str) -> str:
        """The value of a channel variable; empty where it is not set."""
        reply = await self._command(f"GET VARIABLE {name}")
        return reply.data or "" if reply.result == "1" else ""

    async def set_variable(self, name: str, value: str) -> None:
        """Sets a channel variable to a value without quotes in it."""
        await self._command(f'SET VARIABLE {name} "{value}"')

    async def answer(self) -> None:
        """Answers the call, so that its caller hears something; without effect where it is answered."""
        reply = await self._command("ANSWER")
        if reply.result == "-1":
            raise ChannelGone("the call could not be answered")

    async def digits(self, prompt: str, seconds: float, most: int) -> str:
        """Plays a sound and takes what is dialled, up to ``#``, silence, or as many as there may be."""
        reply = await self._command(f"GET DATA {prompt} {int(seconds * 1000)} {most}")
        if reply.result.startswith("-"):
            raise ChannelGone("the caller hung up, or the sound is not there")
        return reply.result

    async def _command(self, command: str) -> Reply:
        self._writer.write(f"{command}\n".encode())
        self._owed += 1
        try:
            await self._writer.drain()
        except OSError as error:
            raise ChannelGone("the connection is closed") from error
        while True:
            reply = await self._reply()
            self._owed -= 1
            if not self._owed:
                return _parsed(reply, command)

    async def _reply(self) -> str:
        """The next reply; of one with several lines, the last."""
        for _ in range(_MAX_REPLY_LINES):
            line = await self._line()
            if line != _HANGUP and not line.startswith(f"{_USAGE}-") and line[:3].isdigit():
                return line
        raise ProtocolError("a reply does not end")

    async def _line(self) -> str:
        try:
            line = await self._reader.readline()
        except ValueError:
            raise ProtocolError(f"a line is longer than {MAX_LINE} bytes") from None
        except OSError as error:
            raise ChannelGone("the connection is closed") from error
        if not line.endswith(b"\n"):
            raise ChannelGone("the connection is closed")
        return line.decode("utf-8", "replace").rstrip("\r\n")


def _parsed(reply: str, command: str) -> Reply:
    if reply.startswith(_DEAD):
        raise ChannelGone("the caller hung up")
    found = _REPLY.fullmatch(reply)
    if found is None:
        words = " ".join(command.split()[:2])
        raise ProtocolError(f"the reply to {words} (status {reply[:3]}) is not understood")
    return Reply(found[1], found[2])
