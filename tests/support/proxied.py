"""Rules for the examples of SIP proxies, a server that decides by them, and what callers get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from given import ACME, ALICE
from programs import Program
from redis_server import free_port
from sip import Caller

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sip import Kamailio, Reply

RULES = f"""
tenants:
  - uuid: {ACME}
    name: acme
    users: [{{uuid: {ALICE}, aliases: [alice]}}]
    outcalls: [{{id: "1"}}]
    call_permissions:
      - {{id: 1, name: premium, extensions: ["_0900."], users: [{ALICE}]}}
      - {{id: 2, name: abroad, extensions: ["_00."], password: "4321", outcalls: ["1"]}}
"""
LOCAL, PREMIUM, ABROAD, HELP = "0123456", "0900123456", "0033123456", "112"
ESCAPED = "%30900123456"
ALLOWED, DENIED, UNDECIDED = (200, "OK"), (403, "Denied"), (503, "No Decision")


class Deciding:
    """A server with the rules that can be stopped and started again at its port."""

    def __init__(self, path: Path) -> None:
        path.write_text(RULES)
        self.address = f"127.0.0.1:{free_port()}"
        self._arguments = ("serve", "--definitions", str(path), "--listen", "127.0.0.1:0", "--http", self.address)
        self._program = self._started()

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self._program.send(number)

    def stop(self) -> None:
        """Stops it in order."""
        assert self._program.stop() == 0
        self.end()

    def start(self) -> None:
        """Starts it again."""
        self._program = self._started()

    def end(self) -> None:
        """Kills it, if it runs, and closes its log."""
        self._program.__exit__()

    def _started(self) -> Program:
        program = Program(*self._arguments)
        program.wait_for("server_started")
        return program


def dialled(proxy: Kamailio, numbers: Sequence[str], *, user: str = "alice", trunk: str = "") -> list[Reply]:
    """The replies to calls of these numbers."""
    with Caller(proxy.address, numbers, user=user, trunk=trunk) as caller:
        return caller.replies()
