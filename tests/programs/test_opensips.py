"""The example for OpenSIPS, driven by SIPp as Kamailio's is, where there is an OpenSIPS: Debian has none."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from proxied import ABROAD, ALLOWED, DENIED, ESCAPED, HELP, LOCAL, PREMIUM, UNDECIDED, Deciding, dialled
from sip import Caller, OpenSips, Taker
from waiting import until

MODULES = os.environ.get("OPENSIPS_MODULES", "/usr/lib/x86_64-linux-gnu/opensips/modules/")
"""Where its modules are: with those of a build of one's own, ``opensips`` has to be on the path."""

pytestmark = pytest.mark.skipif(shutil.which("opensips") is None, reason="there is no opensips")


def test_calls_are_decided_by_the_rules(server: Deciding, trunk: Taker) -> None:
    """However the number is written; strangers and forged dialogues get nowhere; calls for help need no server."""
    with OpenSips(server.address, trunk.address, modules=MODULES) as proxy:
        replies = dialled(proxy, [LOCAL, PREMIUM, ESCAPED, ABROAD, HELP, "0900x"])
        strangers = [dialled(proxy, [LOCAL, HELP], user=user) for user in ("mallory", "alice%22,%22type%22:%22user")]
        forged = dialled(proxy, [PREMIUM], trunk=trunk.address)
        server.stop()
        away = dialled(proxy, [LOCAL, HELP])
        server.start()
        back = dialled(proxy, [LOCAL, PREMIUM])

    assert replies == [ALLOWED, DENIED, DENIED, (403, "PIN Required"), ALLOWED, (484, "Address Incomplete")]
    assert strangers == [[UNDECIDED, ALLOWED]] * 2
    assert (forged, away, back) == ([(481, "Call Does Not Exist")], [UNDECIDED, ALLOWED], [ALLOWED, DENIED])
    assert trunk.numbers() == [LOCAL, HELP]


def test_calls_with_a_pin_go_where_it_is_asked_for(server: Deciding, trunk: Taker) -> None:
    """Those alone; the trunk sees none of them."""
    with Taker() as desk, OpenSips(server.address, trunk.address, modules=MODULES, desk=desk.address) as proxy:
        replies = dialled(proxy, [ABROAD, LOCAL, PREMIUM])
        asked = desk.numbers()

    assert (replies, asked, trunk.numbers()) == ([ALLOWED, ALLOWED, DENIED], [ABROAD], [LOCAL])


def test_a_frozen_server_holds_up_no_call_for_help(server: Deciding, trunk: Taker) -> None:
    """More calls wait than there are processes, some hang up; all others are decided when the server goes on."""
    waiting = [LOCAL, PREMIUM] * 8
    with OpenSips(server.address, trunk.address, modules=MODULES) as proxy:
        dialled(proxy, [LOCAL])
        server.send(signal.SIGSTOP)
        with Caller(proxy.address, waiting) as caller, Caller(proxy.address, [PREMIUM] * 4, hang_up=True) as leaving:
            until(lambda: caller.trying() == len(waiting) and leaving.trying() == 4, "all are being worked on")
            helped = dialled(proxy, [HELP])
            still = caller.dialling()
            server.send(signal.SIGCONT)
            replies, left = caller.replies(), leaving.replies()

    assert (helped, still, replies) == ([ALLOWED], True, [ALLOWED, DENIED] * 8)
    assert {reply.status for reply in left} <= {487}


def test_a_frozen_server_is_given_up(server: Deciding, trunk: Taker) -> None:
    """Calls that got no response in time are refused, but for those for help."""
    with OpenSips(server.address, trunk.address, modules=MODULES, seconds=1) as proxy:
        server.send(signal.SIGSTOP)
        frozen = dialled(proxy, [LOCAL, PREMIUM, HELP])
        server.send(signal.SIGCONT)
        until(lambda: dialled(proxy, [LOCAL]) == [ALLOWED], "calls are decided again")

    assert frozen == [UNDECIDED, UNDECIDED, ALLOWED]
