"""Adapters that are replaced under calls: processes of their own, as a supervisor starts and stops them."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest
from agi_adapter import FROM_ALICE, closed_port, rules
from agi_peer import Asterisk
from programs import Activated, Program
from server import DEADLINE
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALLOWED = {**FROM_ALICE, "WAZO_DSTNUM": "200"}
_CALLERS = 4
_CALLS_MEANWHILE = 100


class Callers:
    """Some who call without a pause, one call after the other, as a context manager.

    Attributes:
        verdicts: what their calls were given, in any order.
    """

    def __init__(self, address: str) -> None:
        self.verdicts: list[str] = []
        self._address = address
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(_CALLERS)]

    def some_more(self) -> None:
        """Waits for further calls."""
        enough = len(self.verdicts) + _CALLS_MEANWHILE
        until(lambda: len(self.verdicts) >= enough, "more calls have been made")

    def __enter__(self) -> Self:
        """Begins."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends."""
        self._ended.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _call(self) -> None:
        while not self._ended.wait(0.02):
            try:
                variables = Asterisk(ALLOWED).call(self._address)
            except OSError as error:
                self.verdicts.append(str(error))
            else:
                self.verdicts.append(variables.get("RIGHTCALL_REASON", "cut"))


@pytest.fixture(params=["reuse-port", "inherited"])
def start(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], Program]]]:
    """An address, and what starts one more adapter there."""
    with ExitStack() as opened, rules(challenge_attempts=100) as running:
        options = ("--target", running.server.address, "--http", "none", "--deadline", "10", "--drain-seconds", "60")
        if request.param == "inherited":
            shared = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
            address = f"127.0.0.1:{shared.getsockname()[1]}"
            yield address, lambda: Activated(shared, "agi", *options)
        else:
            address = closed_port()
            yield address, lambda: Program("agi", "--listen", address, "--reuse-port", *options)


def test_a_new_adapter_takes_over_while_the_old_one_drains(start: tuple[str, Callable[[], Program]]) -> None:
    """No call is refused or cut, and a caller who types a PIN finishes with the adapter that asked."""
    address, started = start
    go_on = threading.Event()

    def thinking() -> Iterator[str]:
        go_on.wait(60)
        yield "4321"

    slow = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123"}, dialled=thinking())
    typing = threading.Thread(target=slow.call, args=(address,))
    with started() as old:
        old.wait_for("agi_server_up")
        typing.start()
        until(lambda: "GET DATA" in slow.commands, "a PIN is asked for")
        with started() as new:
            new.wait_for("agi_server_up")
            with Callers(address) as callers:
                callers.some_more()
                old.send(signal.SIGTERM)
                old.wait_for("agi_stopping")
                callers.some_more()
                go_on.set()
                assert old.wait() == 0
                callers.some_more()
    typing.join(DEADLINE)

    assert set(callers.verdicts) == {"no-rule"}
    assert slow.variables["WAZO_AUTHORIZATION"] == "ALLOW"


def test_an_adapter_that_dies_leaves_the_call_to_the_next_one() -> None:
    """The channel is denied, without a reason: that is the dialplan's sign to ask another adapter."""

    def thinking() -> Iterator[str]:
        assert dying.stop(signal.SIGKILL) == -signal.SIGKILL
        yield "4321"

    stale = {"WAZO_AUTHORIZATION": "ALLOW", "WAZO_PASSWORD": "1111", "RIGHTCALL_REASON": "rule"}
    channel = Asterisk({**stale, **FROM_ALICE, "WAZO_DSTNUM": "0033123"}, dialled=thinking())
    with rules() as running:
        options = ("--listen", "127.0.0.1:0", "--http", "none", "--target", running.server.address)
        with Program("agi", *options) as dying, Program("agi", *options) as other:
            first, second = (str(program.wait_for("agi_started")["agi"]) for program in (dying, other))
            left = dict(channel.call(first))
            variables = Asterisk(left, dialled=["4321"]).call(second)

    assert (left["WAZO_AUTHORIZATION"], left["WAZO_PASSWORD"], left["RIGHTCALL_REASON"]) == ("DENY", "", "")
    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("ALLOW", "pin")


def test_a_hangup_ends_no_calls() -> None:
    """SIGHUP is what a closed terminal sends, and who wants settings to be read again."""
    with (
        rules() as running,
        Program("agi", "--listen", "127.0.0.1:0", "--http", "none", "--target", running.server.address) as agi,
    ):
        address = str(agi.wait_for("agi_started")["agi"])
        agi.send(signal.SIGHUP)
        agi.wait_for("agi_nothing_to_reload")
        assert Asterisk(ALLOWED).call(address)["WAZO_AUTHORIZATION"] == "ALLOW"
        assert agi.stop() == 0
