"""Asterisk's side of a FastAGI conversation: a channel with variables and a caller who dials digits."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

from server import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

USAGE = "520-Invalid command syntax.  Proper usage follows:\nUsage: ANSWER\n520 End of proper usage."
_COMMAND = re.compile(r'(GET VARIABLE|SET VARIABLE|GET DATA|ANSWER)(?: (\S+))?(?: "?([^"]*)"?)?')


class Asterisk:
    """One channel. Its replies are Asterisk's, to the letter.

    Args:
        variables: of the channel.
        dialled: what the caller dials each time that digits are asked for; None: hangs up. Beyond the end: nothing.
        script: what the dialplan asks for.
        instead: what is sent in place of the reply to a command, by the command's first words; an empty text: nothing.
        slow: seconds that each reply takes.

    Attributes:
        transcript: the commands that came, as they came.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        dialled: Iterable[str | None] = (),
        script: str = "user_set_call_rights",
        instead: Mapping[str, str] | None = None,
        slow: float = 0,
    ) -> None:
        self.variables = dict(variables)
        self.transcript: list[str] = []
        self._dialled = iter(dialled)
        self._script = script
        self._instead = dict(instead or {})
        self._slow = slow
        self._hung_up = False

    def call(self, address: str) -> dict[str, str]:
        """Has the conversation with whoever listens there, to its end.

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
                pass
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
        return "".join(f"agi_{name}: {value}\n" for name, value in told.items()) + "\n"

    def _take(self, line: str, send: Callable[[bytes], None]) -> None:
        self.transcript.append(line)
        found = _COMMAND.fullmatch(line)
        reply = self._reply(*found.groups(default="")) if found else "510 Invalid or unknown command"
        for start, other in self._instead.items():
            if line.startswith(start):
                reply = other
        time.sleep(self._slow)
        if reply:
            send(f"{reply}\n".encode())

    def _reply(self, command: str, name: str, rest: str) -> str:
        if self._hung_up:
            return "511 Command Not Permitted on a dead channel or intercept routine"
        if command == "GET VARIABLE":
            value = self.variables.get(name, "")
            return f"200 result=1 ({value})" if value else "200 result=0"
        if command == "SET VARIABLE":
            self.variables[name] = rest
            return "200 result=1"
        return self._digits() if command == "GET DATA" else "200 result=0"

    def _digits(self) -> str:
        digits = next(self._dialled, "")
        if digits is None:
            self._hung_up = True
            return "HANGUP\n200 result=-1"
        return f"200 result={digits}" if digits else "200 result= (timeout)"
