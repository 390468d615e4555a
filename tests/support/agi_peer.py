"""Asterisk's side of a FastAGI dialogue: a channel with variables and a caller who dials digits."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

from server import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

USAGE = "520-Invalid command syntax.  Proper usage follows:\nUsage: ANSWER\n520 End of proper usage."
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_EXPRESSION = re.compile(
    r"\$\{SET\((?P<set>\w+)=(?P<value>[^)]*)\)\}|\$\[\"\$\{(?P<filled>\w+)\}\" != \"\"\]|\$\{(?P<read>\w+)\}"
)


class Asterisk:
    """One channel. Its replies are Asterisk's, to the letter.

    Args:
        variables: of the channel.
        dialled: what the caller presses each time that keys are asked for; None: hangs up. Beyond the end: nothing.
        script: what the dialplan asks for.
        instead: what is sent in place of the reply to a command, by the command's first words; an empty text: nothing.
        slow: seconds that each reply takes.
        sounds: those that can be played.
        functions: whether the dialplan's functions are loaded.
        environment: lines besides those that Asterisk sends at the start.

    Attributes:
        transcript: the commands that came, as they came.
        cut: whether the adapter closed the connection in the middle of the dialogue, with a reset.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        dialled: Iterable[str | None] = (),
        script: str = "user_set_call_rights",
        instead: Mapping[str, str] | None = None,
        slow: float = 0,
        sounds: Iterable[str] = ("agent-pass", "auth-incorrect"),
        functions: bool = True,
        environment: str = "",
    ) -> None:
        self.variables = dict(variables)
        self.transcript: list[str] = []
        self.cut = False
        self._dialled = iter(dialled)
        self._script = script
        self._instead = dict(instead or {})
        self._slow = slow
        self._sounds = frozenset(sounds)
        self._functions = functions
        self._extra = environment
        self._hung_up = False
        self._pressed = ""
        self._waits_for_next = True

    @property
    def commands(self) -> list[str]:
        """The commands that came, by their first two words."""
        return [" ".join(line.split()[:2]) for line in self.transcript]

    def call(self, address: str) -> dict[str, str]:
        """Has the dialogue with the adapter at an address, to its end.

        Returns:
            The variables that the channel has then.
        """
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
            connection.sendall(self._environment().encode())
            try:
                for line in connection.makefile("r", encoding="utf-8", newline="\n"):
                    self._take(line.rstrip("\n"), connection.sendall)
            except ConnectionError:
                self.cut = True
        return self.variables

    def _environment(self) -> str:
        told = {
            "network": "yes",
            "network_script": self._script,
            "request": f"agi://127.0.0.1/{self._script}",
            "channel": "PJSIP/ozsnjl0m-00000003",
            "language": "en_US",
            "type": "PJSIP",
            "uniqueid": "1769955600.5",
            "version": "22.8.0",
            "callerid": "1001",
            "context": "wazo-user_permission_check",
            "extension": "s",
            "priority": "1",
            "enhanced": "0.0",
            "accountcode": "",
            "threadid": "140141093418752",
        }
        return "".join(f"agi_{name}: {value}\n" for name, value in told.items()) + f"{self._extra}\n"

    def _take(self, line: str, send: Callable[[bytes], None]) -> None:
        self.transcript.append(line)
        reply = self._reply(line)
        for start, other in self._instead.items():
            if line.startswith(start):
                reply = other
        time.sleep(self._slow)
        if reply:
            send(f"{reply}\n".encode())

    def _reply(self, line: str) -> str:
        if self._hung_up:
            return "511 Command Not Permitted on a dead channel or intercept routine"
        words = [found[2] or re.sub(r"\\(.)", r"\1", found[1] or "") for found in _WORD.finditer(line)]
        match words:
            case ["GET", "FULL", "VARIABLE", text]:
                return f"200 result=1 ({_EXPRESSION.sub(self._value, text)})"
            case ["SET", "VARIABLE", name, value]:
                self.variables[name] = value
                return "200 result=1"
            case ["GET", "DATA", sound, milliseconds, most]:
                assert int(milliseconds) > 0
                return self._digits(sound, int(most))
            case ["ANSWER"]:
                return "200 result=0"
        return "510 Invalid or unknown command"

    def _value(self, found: re.Match[str]) -> str:
        """What an expression comes to."""
        if found["set"]:
            if not self._functions:
                return ""
            self.variables[found["set"]] = found["value"]
            return found["value"]
        if found["filled"]:
            return "1" if self.variables.get(found["filled"]) else "0"
        return self.variables.get(found["read"], "")

    def _digits(self, sound: str, most: int) -> str:
        """The keys up to ``#``, up to silence, or as many as may be; what is pressed beyond that waits."""
        if sound and sound not in self._sounds:
            self._waits_for_next = True
            return "200 result=-1"
        if not self._pressed and (sound or self._waits_for_next):
            pressed = next(self._dialled, "")
            if pressed is None:
                self._hung_up = True
                return "HANGUP\n200 result=-1"
            self._pressed = pressed
        self._waits_for_next = False
        keys, hash_key, rest = self._pressed.partition("#")
        if len(keys) >= most:
            self._pressed = self._pressed[most:]
            return f"200 result={keys[:most]}"
        self._pressed = rest
        return f"200 result={keys}" if hash_key else f"200 result={keys} (timeout)"
