"""Clients of several servers, one of which takes requests and does not answer them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from given import ALICE
from programs import Program

from rightcall import Client, DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = f"tenants: [{{uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521, users: [{{uuid: {ALICE}}}]}}]"
_IN_A_ROW = 30
_PATIENCE = 60.0


def _answered_in_a_row(answered: Callable[[], bool]) -> bool:
    """Whether many requests, one after the other, get their answers before patience ends."""
    row, end = 0, time.monotonic() + _PATIENCE
    while row < _IN_A_ROW and time.monotonic() < end:
        row = row + 1 if answered() else 0
    return row == _IN_A_ROW


def test_a_server_that_is_frozen_is_left_out(tmp_path: Path) -> None:
    """Else every second request would wait in vain for as long as the server is frozen: its connection lives on."""
    (tmp_path / "rules.yaml").write_text(RULES)
    options = ("serve", "--definitions", str(tmp_path), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    with Program(*options) as one, Program(*options) as other:
        addresses = [str(server.wait_for("server_started")["grpc"]) for server in (one, other)]
        for server in (one, other):
            server.wait_for("rules_published")
        with Client(f"ipv4:{','.join(addresses)}") as client:

            def answered() -> bool:
                try:
                    return client.check(caller=ALICE, extension="200", timeout=0.5).allowed
                except DeadlineExceeded:
                    return False

            assert _answered_in_a_row(answered)
            one.send(signal.SIGSTOP)
            try:
                assert _answered_in_a_row(answered)
            finally:
                one.send(signal.SIGCONT)
