"""PINs that callers dial: what counts as one, what is sent to the server, and which variables are set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from agi_adapter import FROM_ALICE, STALE, adapter, counted, rules
from agi_peer import Asterisk
from given import KEY
from server import running_server
from structlog.testing import capture_logs

from rightcall.agi.settings import OnFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from rightcall.agi.server import AgiServer

ABROAD = {**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0033123456"}
"""A call that needs 4321."""
HASH = {**FROM_ALICE, "WAZO_DSTNUM": "7001"}
"""A call that needs 12#4."""


def verdict_of(variables: dict[str, str]) -> tuple[str, str]:
    """The verdict and the reason."""
    return variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]


@pytest.mark.parametrize("dialled", ["4321#", "4321"])
def test_the_right_pin_opens_the_call(agi: AgiServer, dialled: str) -> None:
    """The adapter asks for it; it is in no variable and in no log line."""
    asterisk = Asterisk(ABROAD, dialled=[dialled])
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert asterisk.commands == ["GET FULL", "ANSWER", "GET DATA", "GET FULL"]
    assert verdict_of(variables) == ("ALLOW", "pin")
    assert (variables["WAZO_PASSWORD"], variables["RIGHTCALL_PERMISSION"]) == ("", "2")
    assert "4321" not in str(logs)
    assert "4321" not in str(variables)


def test_a_caller_may_try_again_up_to_a_limit(agi: AgiServer) -> None:
    """Dialling nothing counts as a try; the third one that is wrong is the last."""
    second = Asterisk(ABROAD, dialled=["1234", "4321"])
    never = Asterisk(ABROAD, dialled=["1", "", "2", "4321"])

    assert verdict_of(second.call(agi.address)) == ("ALLOW", "pin")
    assert verdict_of(never.call(agi.address)) == ("DENY", "pin")
    assert [line.split()[2] for line in never.transcript if line.startswith("GET DATA")] == [
        '"agent-pass"',
        '"auth-incorrect"',
        '"auth-incorrect"',
    ]


@pytest.mark.parametrize("dialled", ["12#4", "12#4#"])
def test_a_hash_ends_a_pin_unless_pins_may_hold_one(running: Running, dialled: str) -> None:
    """12#4 is 12, and then 4 for the next try."""
    with adapter(running.server.address) as agi:
        assert verdict_of(Asterisk(HASH, dialled=[dialled]).call(agi.address)) == ("DENY", "pin")


@pytest.mark.parametrize(("dialled", "verdict"), [("12#4", "ALLOW"), ("12#4#", "DENY"), ("12#", "DENY"), ("#", "DENY")])
def test_a_pin_with_a_hash_is_read_whole_where_pins_may_hold_one(running: Running, dialled: str, verdict: str) -> None:
    """One text is one attempt, which silence ends."""
    with adapter(running.server.address, hash_in_pin=True, attempts=1) as agi:
        assert verdict_of(Asterisk(HASH, dialled=[dialled]).call(agi.address)) == (verdict, "pin")
        assert sum(counted(agi, "rightcall_agi_pins_total", result=result) for result in ("right", "wrong")) == 1


@pytest.mark.parametrize("chosen", [{}, {"hash_in_pin": True}], ids=["hash-ends", "silence-ends"])
@pytest.mark.parametrize("keys", [41, 45, 81, 130])
def test_a_text_that_is_too_long_is_one_attempt(running: Running, keys: int, chosen: dict[str, bool]) -> None:
    """Keys beyond the 40th do not count as the next attempt, and none of the text is sent."""
    dialled = ["1" * keys + ("" if chosen else "#"), "4321"]
    with adapter(running.server.address, **chosen) as agi:
        assert verdict_of(Asterisk(ABROAD, dialled=dialled).call(agi.address)) == ("ALLOW", "pin")
        assert counted(agi, "rightcall_agi_pins_total", result="impossible") == 1
        assert counted(agi, "rightcall_agi_pins_total", result="wrong") == 0


def test_forty_keys_are_not_too_many(agi: AgiServer) -> None:
    """A PIN can have as many; this one is merely wrong."""
    before = counted(agi, "rightcall_agi_pins_total", result="wrong")
    assert verdict_of(Asterisk(ABROAD, dialled=["1" * 40, "4321"]).call(agi.address)) == ("ALLOW", "pin")
    assert counted(agi, "rightcall_agi_pins_total", result="wrong") == before + 1


def test_a_caller_who_never_stops_pressing_keys_is_let_go(agi: AgiServer) -> None:
    """The dialogue ends, and the call stays denied."""
    variables = Asterisk(ABROAD, dialled=["1" * 1000]).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"


@pytest.mark.parametrize("dialled", ["A321#", "432D", "4A321", "B"])
def test_the_keys_a_to_d_make_a_wrong_pin_and_end_nothing(agi: AgiServer, dialled: str) -> None:
    """The caller may try again."""
    assert verdict_of(Asterisk(ABROAD, dialled=[dialled, "4321"]).call(agi.address)) == ("ALLOW", "pin")


@pytest.mark.parametrize(("sounds", "missing"), [((), 3), (("auth-incorrect",), 1), (("agent-pass",), 2)])
def test_a_sound_that_is_missing_is_done_without(running: Running, sounds: tuple[str, ...], missing: int) -> None:
    """The caller may dial all the same, and try again; the log names the sound."""
    with adapter(running.server.address) as agi, capture_logs() as logs:
        asterisk = Asterisk(ABROAD, dialled=["1", "2", "4321"], sounds=sounds)
        assert verdict_of(asterisk.call(agi.address)) == ("ALLOW", "pin")
        assert counted(agi, "rightcall_agi_sounds_missing_total") == missing
    assert {entry["sound"] for entry in logs if entry["event"] == "agi_sound_missing"} == {
        "agent-pass",
        "auth-incorrect",
    } - set(sounds)


def test_a_caller_who_heard_no_prompt_and_dialled_nothing_is_told_apart(agi: AgiServer) -> None:
    """The dialplan can say that something is wrong, rather than that the PIN was."""
    assert verdict_of(Asterisk(ABROAD, sounds=()).call(agi.address)) == ("DENY", "no-sound")
    assert verdict_of(Asterisk(ABROAD).call(agi.address)) == ("DENY", "pin")


def test_a_caller_who_is_locked_out_is_told_so() -> None:
    """Right or wrong, the PIN is not looked at; the channel says why, and for how long."""
    with rules(challenge_attempts=2) as running, adapter(running.server.address) as agi, capture_logs() as logs:
        first = Asterisk(ABROAD, dialled=["1", "2", "3"]).call(agi.address)
        right = Asterisk(ABROAD, dialled=["4321"]).call(agi.address)
        assert counted(agi, "rightcall_agi_calls_total", verdict="deny", reason="locked") == 2

    assert verdict_of(first) == verdict_of(right) == ("DENY", "locked")
    assert int(right["RIGHTCALL_RETRY_AFTER"]) > 0
    denied = [entry for entry in logs if entry["event"] == "agi_denied"]
    assert [entry["reason"] for entry in denied] == ["locked", "locked"]
    assert denied[-1]["retry_after"] > 0


def test_a_pin_that_is_not_looked_at_because_of_others_is_told_apart() -> None:
    """The channel says why and for how long; the caller's attempts are left as they were."""
    with rules(pin_guesses=1) as running, adapter(running.server.address) as agi:
        first = Asterisk(ABROAD, dialled=["1", "2", "4321"]).call(agi.address)
        assert counted(agi, "rightcall_agi_pins_total", result="delayed") == 1

    assert verdict_of(first) == ("DENY", "delayed")
    assert int(first["RIGHTCALL_RETRY_AFTER"]) > 0


def test_a_caller_who_hangs_up_ends_the_dialogue(agi: AgiServer) -> None:
    """The channel stays denied, and nothing is logged at info: people do that."""
    asterisk = Asterisk(ABROAD, dialled=[None])
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert asterisk.commands[-1] == "GET DATA"
    assert {entry["log_level"] for entry in logs} <= {"debug"}
    assert "agi_denied" not in [entry["event"] for entry in logs]


def test_a_pin_that_cannot_be_checked_is_a_denial_even_if_failures_are_open(running: Running) -> None:
    """The rules have asked for a PIN, so no call gets through without one."""
    stopped = threading.Event()
    with (
        running_server(current=running.current, secrets=(KEY,)) as other,
        adapter(other.server.address, on_failure=OnFailure.OPEN) as agi,
    ):
        asterisk = Asterisk(ABROAD, dialled=_after(other, stopped))
        variables = asterisk.call(agi.address)

    assert stopped.is_set()
    assert verdict_of(variables) == ("DENY", "no-answer")


def _after(running: Running, stopped: threading.Event) -> Iterator[str]:
    """The right PIN, dialled when the server has stopped."""
    running.server.stop()
    stopped.set()
    yield "4321"


def test_a_server_without_the_secret_cannot_check_pins(running: Running) -> None:
    """No caller is asked for one in vain; channel and log say what is missing."""
    with running_server(current=running.current) as other, adapter(other.server.address) as agi, capture_logs() as logs:
        asterisk = Asterisk(ABROAD, dialled=["4321"])
        variables = asterisk.call(agi.address)

    assert verdict_of(variables) == ("DENY", "unanswerable")
    assert "ANSWER" not in asterisk.commands
    assert "agi_no_challenge" in [entry["event"] for entry in logs]
