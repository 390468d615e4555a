"""The AGI protocol: a line for each command and for each reply, over the connection that Asterisk opened."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from rightcall.agi.errors import AsteriskSilent, BrokenValue, ChannelGone, ProtocolError

if TYPE_CHECKING:
    import socket
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Self

MAX_LINE: Final = 64 * 1024
"""Bytes; the reply with all variables is the longest line that Asterisk sends."""
_MAX_ENVIRONMENT_LINES: Final = 200
_MAX_STRAY_LINES: Final = 200
"""Lines that are no reply: ``HANGUP``, usage texts, and the rest of values with line breaks."""
_MAX_VALUE: Final = 128
_PROMPT_SECONDS: Final = 120.0
"""A sound may last so long."""
_REPLY: Final = re.compile(r"200 result=(-?[0-9A-D*#]*)(?: \((.*)\))?(?: endpos=\d+)?")
_DEAD: Final = "511"
_USAGE_TEXT: Final = b"520-"
_FAILED: Final = "-1"


class Reply(NamedTuple):
    """Asterisk's reply to a command.

    Attributes:
        result: such as ``1``, ``-1``, or digits.
        data: the text in parentheses; None without any.
    """

    result: str
    data: str | None


class End(Enum):
    """The end of a row of digits."""

    HASH = auto()
    SILENCE = auto()
    FULL = auto()
    """The maximum number of digits was reached."""


class Digits(NamedTuple):
    """Keys that the caller pressed, ``0-9 * A-D``, and the end of the input."""

    keys: str
    end: End


class Channel:
    """A call, as presented by Asterisk over AGI.

    Args:
        reader: from Asterisk.
        writer: to Asterisk.
        seconds: timeout of a reply, on top of the command's own duration.

    Every method raises ``ChannelGone`` after the end of the call or the connection, ``AsteriskSilent`` without a reply,
    and ``ProtocolError`` for unexpected lines. After an error the dialogue is over.
    """

    def __init__(self, reader: StreamReader, writer: StreamWriter, seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._seconds = seconds
        self._torn = False
        """Whether the rest of a value with line breaks is still to be read: lines that may look like any reply."""

    @classmethod
    async def over(cls, connection: socket.socket, seconds: float) -> Self:
        """A channel over a connection that was accepted; the channel closes it."""
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_LINE)
        except BaseException:
            connection.close()
            raise
        return cls(reader, writer, seconds)

    async def environment(self) -> dict[str, str]:
        """Asterisk's variables at the start: ``agi_network_script``, ``agi_uniqueid`` and so on.

        Of two lines with one name the first counts: Asterisk's own come before those that hold what callers chose.
        """
        found: dict[str, str] = {}
        async with _within(self._seconds):
            for _ in range(_MAX_ENVIRONMENT_LINES):
                line = (await self._line()).decode("utf-8", "replace")
                if not line:
                    return found
                name, _, value = line.partition(":")
                found.setdefault(name, value.strip())
        raise ProtocolError("the environment does not end; check that Asterisk is what connects here")

    async def exchange(self, sets: Mapping[str, str], reads: Sequence[str] = ()) -> list[str]:
        """Sets channel variables, then evaluates expressions, in one round trip.

        Asterisk escapes nothing in a reply. So each value ends with a mark that only this adapter knows, and a value
        with a line break cannot pass for several values, nor for a reply.

        Args:
            sets: names and values; characters of a value that a URL cannot hold are percent-encoded.
            reads: expressions without backslashes, such as ``${WAZO_DSTNUM}``.

        Returns:
            The values of the expressions.

        Raises:
            BrokenValue: a value holds a line break, or bytes that are no text. The variables are set nevertheless.
        """
        values = {name: quote(value[:_MAX_VALUE], safe="") for name, value in sets.items()}
        mark = f"~{secrets.token_hex(8)}~"
        expressions = [f"${{SET({name}={value})}}" for name, value in values.items()]
        found = await self._evaluated([*expressions, *reads], mark)
        if found[: len(values)] != list(values.values()):
            # The function SET is of a module that this Asterisk has not loaded.
            for name, value in values.items():
                await self._command(f'SET VARIABLE {name} "{value}"')
        return found[len(values) :]

    def close(self) -> None:
        """Ends the dialogue, so that the dialplan goes on."""
        self._writer.close()

    async def answer(self) -> None:
        """Answers the call, so that the caller hears sound; without effect on an answered call."""
        reply = await self._command("ANSWER")
        if reply.result == _FAILED:
            raise ChannelGone("the call could not be answered")

    async def prompted(self, sound: str, seconds: float, most: int) -> Digits | None:
        """Plays a sound, which the first key ends, and collects the pressed keys.

        Args:
            sound: the sound's name.
            seconds: of silence that end the digits.
            most: keys.

        Returns:
            The keys; None where the sound cannot be played, or the caller hung up.
        """
        reply = await self._data(sound, seconds, most)
        return None if reply.result == _FAILED else _digits(reply, most)

    async def digits(self, seconds: float, most: int) -> Digits:
        """Takes the keys that are pressed, up to ``#``, ``seconds`` of silence, or as many as there may be."""
        reply = await self._data("", seconds, most)
        if reply.result == _FAILED:
            raise ChannelGone("the caller hung up")
        return _digits(reply, most)

    async def _data(self, sound: str, seconds: float, most: int) -> Reply:
        command = f'GET DATA "{sound}" {int(seconds * 1000)} {most}'
        return await self._command(command, _PROMPT_SECONDS + seconds * (most + 1))

    async def _evaluated(self, expressions: Sequence[str], mark: str) -> list[str]:
        """The values of expressions; ``mark`` stands before the first and behind each in Asterisk's reply."""
        head, tail = f"200 result=1 ({mark}".encode(), f"{mark})".encode()
        text = f"{mark}{mark.join((*expressions, ''))}".replace('"', '\\"')
        command = f'GET FULL VARIABLE "{text}"'
        async with _within(self._seconds):
            await self._send(command)
            while not (line := await self._reply()).startswith(head):
                if not self._torn:
                    _parsed(line, command)
                    raise ProtocolError("GET FULL VARIABLE has no value; Asterisk 1.6 or newer is needed")
        # Only Asterisk knows the mark: where one is missing, a value has brought a line break.
        if not line.endswith(tail) or line.count(mark.encode()) != len(expressions) + 1:
            self._torn = True
            raise BrokenValue("a variable holds a line break")
        try:
            return line[len(head) : -len(tail)].decode().split(mark)
        except UnicodeDecodeError:
            raise BrokenValue("a variable holds what is no UTF-8") from None

    async def _command(self, command: str, seconds: float = 0.0) -> Reply:
        """Sends a command that takes Asterisk ``seconds`` at most, and returns the reply."""
        async with _within(seconds + self._seconds):
            await self._send(command)
            return _parsed(await self._reply(), command)

    async def _send(self, command: str) -> None:
        self._writer.write(f"{command}\n".encode())
        try:
            await self._writer.drain()
        except OSError as error:
            raise ChannelGone("the connection is closed") from error

    async def _reply(self) -> bytes:
        """The next reply; of one with several lines, the last."""
        for _ in range(_MAX_STRAY_LINES):
            line = await self._line()
            if line[:3].isdigit() and not line.startswith(_USAGE_TEXT):
                return line
        raise ProtocolError("a reply does not end")

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readline()
        except ValueError:
            raise ProtocolError(f"a line is longer than {MAX_LINE} bytes") from None
        except OSError as error:
            raise ChannelGone("the connection is closed") from error
        if not line.endswith(b"\n"):
            raise ChannelGone("the connection is closed")
        return line.rstrip(b"\r\n")


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AsteriskSilent(f"Asterisk has not replied within {seconds:g} s") from None


def _digits(reply: Reply, most: int) -> Digits:
    if reply.data == "timeout":
        return Digits(reply.result, End.SILENCE)
    return Digits(reply.result, End.FULL if len(reply.result) >= most else End.HASH)


def _parsed(line: bytes, command: str) -> Reply:
    reply = line.decode("utf-8", "replace")
    if reply.startswith(_DEAD):
        raise ChannelGone("the caller hung up")
    found = _REPLY.fullmatch(reply)
    if found is None:
        words = " ".join(command.split()[:2])
        raise ProtocolError(f"the reply to {words} (status {reply[:3]}) is not understood")
    return Reply(found[1], found[2])
