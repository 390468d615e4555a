"""The script ``shadow``: what the dialplan decided beside what the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agi_adapter import FROM_ALICE, adapter, closed_port, counted
from agi_peer import Asterisk
from given import ALICE
from structlog.testing import capture_logs
from waiting import until

if TYPE_CHECKING:
    from server import Running

CASES = [
    ("200", "ALLOW", "", "allow", "allow"),
    ("0900123", "DENY", "", "deny", "deny"),
    ("0033123", "DENY", "4321", "challenge", "challenge"),
    ("0033123", "DENY", "12#4*", "challenge", "challenge"),
    ("0900123", "ALLOW", "", "allow", "deny"),
    ("0900123", "DENY", "99", "challenge", "deny"),
    ("200", "DENY", "", "deny", "allow"),
    ("0033123", "ALLOW", "", "allow", "challenge"),
    ("200", "", "", "none", "allow"),
]


@pytest.mark.parametrize(("number", "authorization", "password", "dialplan", "server"), CASES)
def test_a_call_is_compared_and_left_alone(
    running: Running, number: str, authorization: str, password: str, dialplan: str, server: str
) -> None:
    """Differences are counted and logged, passwords are not even read, and no variable changes."""
    channel = {**FROM_ALICE, "WAZO_DSTNUM": number, "WAZO_AUTHORIZATION": authorization, "WAZO_PASSWORD": password}
    with adapter(running.server.address) as agi, capture_logs() as logs:
        asterisk = Asterisk(channel, script="shadow")
        assert asterisk.call(agi.address) == channel
        assert asterisk.commands == ["GET FULL"]
        until(
            lambda: counted(agi, "rightcall_agi_shadowed_total", dialplan=dialplan, server=server) == 1,
            "the comparison is counted",
        )
    differences = [entry for entry in logs if entry["event"] == "agi_shadow_differs"]

    assert len(differences) == (dialplan != server)
    for told in differences:
        assert (told["caller"], told["extension"]) == (ALICE, number)
        assert (told["dialplan"], told["server"]) == (dialplan, server)
    if password:
        assert password not in str(logs)


def test_without_a_server_the_call_goes_on_at_once() -> None:
    """Asterisk is let go before the server is asked."""
    channel = {**FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_AUTHORIZATION": "ALLOW"}
    with adapter(closed_port(), deadline=0.3) as agi:
        assert Asterisk(channel, script="shadow").call(agi.address) == channel
        until(
            lambda: counted(agi, "rightcall_agi_shadowed_total", dialplan="allow", server="none") == 1,
            "the lack of an answer is counted",
        )
    assert counted(agi, "rightcall_agi_calls_total", verdict="allow", reason="no-answer") == 0


def test_a_number_with_a_line_break_is_passed_over(running: Running) -> None:
    """There is nothing to compare it with."""
    channel = {**FROM_ALICE, "WAZO_DSTNUM": "200\n1", "WAZO_AUTHORIZATION": "ALLOW"}
    with adapter(running.server.address) as agi, capture_logs() as logs:
        assert Asterisk(channel, script="shadow").call(agi.address) == channel
        until(lambda: counted(agi, "rightcall_agi_dialogues_broken_total", cause="protocol") == 1, "it is counted")
    assert "agi_not_understood" in [entry["event"] for entry in logs]
