"""The example for Kamailio, driven by SIPp: what callers and the trunk see, whatever Rightcall does meanwhile."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from far import Far
from programs import Program
from proxied import ABROAD, ALLOWED, DENIED, ESCAPED, HELP, LOCAL, PREMIUM, RULES, UNDECIDED, Deciding, dialled
from sip import Caller, Kamailio, PythonKamailio, Taker
from waiting import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Kamailio has Debian's Python, and this one's packages")
def test_calls_are_decided_by_routing_in_python(tmp_path: Path, trunk: Taker) -> None:
    """Over gRPC, as over AuthZEN; without a server calls for help alone go on."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with (
        Program("serve", "--definitions", str(rules), "--listen", "127.0.0.1:0", "--http", "none") as server,
        Taker() as desk,
    ):
        address = server.wait_for("server_started")["grpc"]
        with PythonKamailio(address, trunk.address, desk=desk.address) as proxy:
            replies = dialled(proxy, [LOCAL, PREMIUM, ESCAPED, ABROAD, HELP, "0900x"])
            forged = dialled(proxy, [PREMIUM], trunk=trunk.address)
            stranger = dialled(proxy, [LOCAL], user="mallory")
            assert server.stop() == 0
            away = dialled(proxy, [PREMIUM, HELP])
        asked = desk.numbers()

    assert replies == [ALLOWED, DENIED, DENIED, ALLOWED, ALLOWED, (484, "Address Incomplete")]
    assert forged == [(481, "Call Does Not Exist")]
    assert (stranger, away) == ([UNDECIDED], [UNDECIDED, ALLOWED])
    assert (asked, trunk.numbers()) == ([ABROAD], [LOCAL, HELP])


def test_calls_are_decided_by_the_rules(server: Deciding, trunk: Taker) -> None:
    """Allowed ones reach the trunk; denied ones do not, however the number is written, nor those that need a PIN."""
    with Kamailio(server.address, trunk.address) as proxy:
        replies = dialled(proxy, [LOCAL, PREMIUM, ESCAPED, ABROAD, HELP, "0900x"])

    assert replies == [ALLOWED, DENIED, DENIED, (403, "PIN Required"), ALLOWED, (484, "Address Incomplete")]
    assert trunk.numbers() == [LOCAL, HELP]


def test_calls_with_a_pin_go_where_it_is_asked_for(server: Deciding, trunk: Taker) -> None:
    """Those alone; the trunk sees none of them."""
    with Taker() as desk, Kamailio(server.address, trunk.address, desk=desk.address) as proxy:
        replies = dialled(proxy, [ABROAD, LOCAL, PREMIUM])
        asked = desk.numbers()

    assert replies == [ALLOWED, ALLOWED, DENIED]
    assert (asked, trunk.numbers()) == ([ABROAD], [LOCAL])


def test_callers_who_are_not_known_get_no_decision(server: Deciding, trunk: Taker) -> None:
    """Neither does a name that is JSON; both may call for help."""
    with Kamailio(server.address, trunk.address) as proxy:
        replies = [dialled(proxy, [LOCAL, HELP], user=user) for user in ("mallory", "alice%22,%22type%22:%22user")]

    assert replies == [[UNDECIDED, ALLOWED]] * 2
    assert trunk.numbers() == [HELP]


def test_a_call_that_was_never_let_through_cannot_be_gone_on_with(server: Deciding, trunk: Taker) -> None:
    """An INVITE with a To tag and a Route to the trunk is refused without a decision."""
    with Kamailio(server.address, trunk.address) as proxy:
        replies = dialled(proxy, [PREMIUM, LOCAL], trunk=trunk.address)

    assert replies == [(481, "Call Does Not Exist")] * 2
    assert trunk.numbers() == []


def test_calls_for_help_need_no_server(server: Deciding, trunk: Taker) -> None:
    """While it is away nothing else gets through; once it is back, calls are decided again."""
    with Kamailio(server.address, trunk.address) as proxy:
        server.stop()
        away = dialled(proxy, [LOCAL, PREMIUM, HELP])
        reached = trunk.numbers()
        server.start()
        back = dialled(proxy, [LOCAL, PREMIUM])

    assert away == [UNDECIDED, UNDECIDED, ALLOWED]
    assert reached == [HELP]
    assert back == [ALLOWED, DENIED]


def test_a_frozen_server_is_given_up(server: Deciding, trunk: Taker) -> None:
    """Calls that got no response in time are refused, but for those for help."""
    with Kamailio(server.address, trunk.address, seconds=1) as proxy:
        server.send(signal.SIGSTOP)
        frozen = dialled(proxy, [LOCAL, PREMIUM, LOCAL, HELP])
        reached = trunk.numbers()
        server.send(signal.SIGCONT)
        until(lambda: dialled(proxy, [LOCAL]) == [ALLOWED], "calls are decided again")

    assert frozen == [UNDECIDED, UNDECIDED, UNDECIDED, ALLOWED]
    assert reached == [HELP]


def test_calls_that_wait_do_not_hold_up_calls_for_help(server: Deciding, trunk: Taker) -> None:
    """There are more of them than processes of any kind; all are decided when the server goes on."""
    waiting = [LOCAL, PREMIUM] * 12
    with Kamailio(server.address, trunk.address) as proxy:
        server.send(signal.SIGSTOP)
        with Caller(proxy.address, waiting) as caller:
            until(lambda: caller.trying() == len(waiting), "all are being worked on")
            helped = dialled(proxy, [HELP])
            reached = trunk.numbers()
            still = caller.dialling()
            server.send(signal.SIGCONT)
            replies = caller.replies()

    assert (helped, reached, still) == ([ALLOWED], [HELP], True)
    assert replies == [ALLOWED, DENIED] * 12


def test_callers_who_hang_up_do_not_hold_up_calls_for_help(server: Deciding, trunk: Taker) -> None:
    """There are more of them than processes that read SIP, while their calls wait for the server."""
    with Kamailio(server.address, trunk.address) as proxy:
        server.send(signal.SIGSTOP)
        with Caller(proxy.address, [PREMIUM] * 6, hang_up=True) as caller:
            until(lambda: caller.trying() == 6, "all are being worked on")
            helped = dialled(proxy, [HELP])
            still = caller.dialling()
            server.send(signal.SIGCONT)
            replies = caller.replies()
        after = dialled(proxy, [LOCAL, PREMIUM])

    assert (helped, still, after) == ([ALLOWED], True, [ALLOWED, DENIED])
    assert all(reply.status >= 400 for reply in replies)
    assert trunk.numbers() == [LOCAL, HELP]


def test_a_slow_server_decides(server: Deciding, trunk: Taker) -> None:
    """Its responses are waited for, and are the same."""
    with Far(server.address, 0.2) as far, Kamailio(far.address, trunk.address) as proxy:
        replies = dialled(proxy, [LOCAL, PREMIUM, ABROAD, HELP])
        assert far.connections == 3

    assert replies == [ALLOWED, DENIED, (403, "PIN Required"), ALLOWED]


def test_a_server_is_replaced_while_calls_come(server: Deciding, trunk: Taker) -> None:
    """A call in between has a decision or none, never a wrong one; afterwards all have."""
    numbers = [LOCAL, PREMIUM, HELP] * 25
    with Kamailio(server.address, trunk.address) as proxy:
        with Caller(proxy.address, numbers, rate=30) as caller:
            until(trunk.numbers, "calls get through")
            server.stop()
            server.start()
            replies = caller.replies()
        after = dialled(proxy, [LOCAL, PREMIUM, HELP])

    assert set(replies[0::3]) <= {ALLOWED, UNDECIDED}
    assert set(replies[1::3]) <= {DENIED, UNDECIDED}
    assert set(replies[2::3]) == {ALLOWED}
    assert after == [ALLOWED, DENIED, ALLOWED]
    assert trunk.numbers() == [LOCAL, HELP]
