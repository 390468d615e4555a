"""Dialogues that are slow, silent or too many, and the other calls meanwhile."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from agi_adapter import FROM_ALICE, adapter, closed_port, counted
from agi_peer import Asterisk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import DEADLINE
from structlog.testing import capture_logs
from waiting import until

from pdp.errors import ListenError
from rightcall.agi.dialogues import Dialogue, Dialogues
from rightcall.agi.server import AgiServer
from rightcall.agi.settings import AgiSettings, OnFailure
from rightcall.aio import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

ALLOWED = {**FROM_ALICE, "WAZO_DSTNUM": "200"}
ABROAD = {**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}


def held(agi: AgiServer) -> float:
    """How many dialogues the adapter has."""
    return counted(agi, "rightcall_agi_dialogues")


def connected(agi: AgiServer, said: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    """A connection that says something, and then nothing."""
    host, _, port = agi.address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=DEADLINE, source_address=(source, 0))
    connection.sendall(said)
    return connection


@contextmanager
def typing(agi: AgiServer) -> Iterator[Asterisk]:
    """A caller who thinks about a PIN, and dials it at the end of the block."""
    go_on = threading.Event()

    def thinking() -> Iterator[str]:
        go_on.wait(DEADLINE)
        yield "4321"

    asterisk = Asterisk(ABROAD, dialled=thinking())
    thread = threading.Thread(target=asterisk.call, args=(agi.address,))
    thread.start()
    try:
        until(lambda: "GET DATA" in asterisk.commands, "a PIN is asked for")
        yield asterisk
    finally:
        go_on.set()
        thread.join(DEADLINE)


def test_calls_are_answered_while_a_caller_thinks_about_a_pin(running: Running) -> None:
    """A person who takes time delays no other call."""
    with adapter(running.server.address) as agi:
        with typing(agi) as slow:
            others = [Asterisk(ALLOWED).call(agi.address) for _ in range(20)]
        assert {variables["WAZO_AUTHORIZATION"] for variables in others} == {"ALLOW"}
        assert slow.variables["WAZO_AUTHORIZATION"] == "ALLOW"


@pytest.mark.parametrize("said", [b"", b"agi_network: yes\n", b"agi_network_script: user_set_call_rights\n\n"])
def test_a_silent_dialogue_ends(running: Running, said: bytes) -> None:
    """Whether or not it began; log and metrics say so."""
    with adapter(running.server.address, asterisk_deadline=0.2) as agi, capture_logs() as logs:
        with connected(agi, said) as silent:
            while silent.recv(4096):
                pass
        until(lambda: held(agi) == 0, "the dialogue is over")
        assert counted(agi, "rightcall_agi_dialogues_broken_total", cause="silent") == 1
    assert "agi_peer_silent" in [entry["event"] for entry in logs]


@pytest.mark.parametrize("said", [b"", b"agi_network_script: user_set_call_rights\n\n"])
@pytest.mark.parametrize("limits", [{"max_dialogues": 5}, {"max_dialogues_per_peer": 5}], ids=["all", "peer"])
def test_silent_dialogues_make_way_for_calls(running: Running, said: bytes, limits: dict[str, int]) -> None:
    """However many there are, the oldest goes first."""
    with adapter(running.server.address, **limits) as agi, ExitStack() as opened:
        for _ in range(12):
            opened.enter_context(connected(agi, said))
        until(lambda: counted(agi, "rightcall_agi_dialogues_broken_total", cause="full") == 7, "seven made way")
        verdicts = [Asterisk(ALLOWED).call(agi.address)["WAZO_AUTHORIZATION"] for _ in range(3)]

    assert verdicts == ["ALLOW", "ALLOW", "ALLOW"]


def test_one_peers_dialogues_take_no_others(running: Running) -> None:
    """Those of another address stay, although they are older."""
    with adapter(running.server.address, max_dialogues_per_peer=3) as agi, connected(agi) as older, ExitStack() as many:
        until(lambda: held(agi) == 1, "the older one is held")
        for _ in range(8):
            many.enter_context(connected(agi, source="127.0.0.2"))
        until(lambda: counted(agi, "rightcall_agi_dialogues_broken_total", cause="full") == 5, "five made way")
        older.settimeout(0.2)
        with pytest.raises(TimeoutError):
            older.recv(1)


def test_a_caller_who_dials_a_pin_does_not_make_way(running: Running) -> None:
    """Where all are such callers, the next call is not answered; the dialplan goes on to another adapter."""
    with adapter(running.server.address, max_dialogues=2) as agi, capture_logs() as logs:
        with typing(agi) as first, typing(agi) as second:
            turned_away = Asterisk(ALLOWED).call(agi.address)
            until(lambda: counted(agi, "rightcall_agi_dialogues_broken_total", cause="full") == 1, "it is counted")
        assert "RIGHTCALL_REASON" not in turned_away
        assert [first.variables["WAZO_AUTHORIZATION"], second.variables["WAZO_AUTHORIZATION"]] == ["ALLOW", "ALLOW"]
    assert "agi_too_many_dialogues" in [entry["event"] for entry in logs]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_there_are_never_too_many(steps: list[tuple[str, bool, bool]]) -> None:
    """In all and of each peer; and one that is refused finds only patient ones in its way."""
    dialogues = Dialogues(6, 3)
    admitted: list[Dialogue] = []
    for peer, patient, ends in steps:
        dialogue = dialogues.admit(peer)
        if dialogue is None:
            inside = [one for one in admitted if not one.displaced]
            same = [one for one in inside if one.peer == peer]
            assert all(one.patient for one in (same if len(same) == 3 else inside))
            continue
        dialogue.patient = patient
        admitted.append(dialogue)
        if ends:
            dialogues.end(dialogue)
            admitted.remove(dialogue)
        admitted = [one for one in admitted if not one.displaced]
        assert len(dialogues) == len(admitted) <= 6
        assert all(sum(one.peer == name for one in admitted) <= 3 for name in "abc")


def test_a_thousand_connections_may_wait(running: Running) -> None:
    """They are made before anything is accepted, and each gets its verdict."""
    chosen = AgiSettings(listen="127.0.0.1:0", deadline=DEADLINE, drain_seconds=0)
    agi = AgiServer(chosen, lambda: Client(running.server.address))
    with ExitStack() as opened:
        waiting = [
            opened.enter_context(connected(agi, b"agi_network_script: user_set_call_rights\n\n")) for _ in range(1000)
        ]
        opened.enter_context(agi)
        for connection in waiting:
            assert connection.recv(17) == b"GET FULL VARIABLE"


def test_four_hundred_calls_at_once_are_decided_by_the_rules(running: Running) -> None:
    """None of them by the failure mode, however long the others take."""
    denied = {**FROM_ALICE, "WAZO_DSTNUM": "0900123", "WAZO_OUTCALLID": "3"}
    with adapter(running.server.address, on_failure=OnFailure.CLOSED) as agi, ThreadPoolExecutor(400) as callers:
        channels = [Asterisk(ALLOWED if number % 2 else denied) for number in range(400)]
        found = list(callers.map(lambda channel: channel.call(agi.address), channels))

    reasons = [(variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) for variables in found]
    assert reasons == [("DENY", "rule"), ("ALLOW", "no-rule")] * 200


def test_many_calls_without_an_answer_all_get_a_verdict() -> None:
    """More than the server is asked about at the same time; the others do not wait behind them."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(400) as callers:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with adapter(target, deadline=0.5, on_failure=OnFailure.INTERNAL) as agi:
            found = list(callers.map(lambda _: Asterisk(ALLOWED).call(agi.address), range(400)))

    reasons = {(variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) for variables in found}
    assert reasons == {("ALLOW", "no-answer")}


def test_only_the_networks_that_are_allowed_may_connect(running: Running) -> None:
    """FastAGI has no passwords; each peer could ask as any user."""
    networks = (ip_network("192.0.2.0/24"),)
    with adapter(running.server.address, allow=networks) as agi, capture_logs() as logs:
        asterisk = Asterisk(FROM_ALICE)
        asterisk.call(agi.address)

    assert asterisk.transcript == []
    assert "agi_peer_refused" in [entry["event"] for entry in logs]
    assert counted(agi, "rightcall_agi_dialogues_broken_total", cause="peer") == 1


def test_a_stop_lets_dialogues_end(running: Running) -> None:
    """Those that are held; no others begin."""
    agi = AgiServer(AgiSettings(listen="127.0.0.1:0", deadline=DEADLINE), lambda: Client(running.server.address))
    agi.start()
    stopping = threading.Thread(target=agi.stop)
    with typing(agi) as slow:
        stopping.start()
    stopping.join(DEADLINE)

    assert slow.variables["WAZO_AUTHORIZATION"] == "ALLOW"


def test_a_stop_does_not_wait_for_ever(running: Running) -> None:
    """A silent connection is cut."""
    agi = AgiServer(AgiSettings(listen="127.0.0.1:0", drain_seconds=0.1), lambda: Client(running.server.address))
    agi.start()
    with connected(agi, b"agi_network: yes\n") as silent:
        until(lambda: held(agi) == 1, "the dialogue is held")
        agi.stop()
        assert silent.recv(1) == b""
    assert counted(agi, "rightcall_agi_dialogues_broken_total", cause="stopped") == 1


def test_an_address_that_is_taken_is_an_error_that_says_so(agi: AgiServer) -> None:
    """Before anything is served; also that of the metrics, whose adapter lets its own port go again."""
    with pytest.raises(ListenError, match="something listens there already"):
        AgiServer(AgiSettings(listen=agi.address), lambda: Client(closed_port()))
    free = closed_port()
    with pytest.raises(ListenError, match="something listens there already"):
        AgiServer(AgiSettings(listen=free, http=agi.address), lambda: Client(closed_port()))
    with AgiServer(AgiSettings(listen=free), lambda: Client(closed_port())) as again:
        assert again.address == free


def test_a_server_that_was_never_started_can_be_stopped() -> None:
    """And lets its port go."""
    agi = AgiServer(AgiSettings(listen="127.0.0.1:0"), lambda: Client(closed_port()))
    agi.stop()
    with AgiServer(AgiSettings(listen=agi.address), lambda: Client(closed_port())) as again:
        assert again.address == agi.address


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"agi_network_script: user_set_call_rights\n\n", b"200 result=1\n", b"HANGUP\n", b"520-\n"]),
        max_size=12,
    )
)
def test_garbage_harms_no_other_call(agi: AgiServer, said: list[bytes]) -> None:
    """Garbage ends its own dialogue and no other, and is no defect."""
    with capture_logs() as logs:
        with connected(agi) as client:
            client.sendall(b"".join(said))
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        answered = Asterisk(ALLOWED).call(agi.address)

    assert answered["WAZO_AUTHORIZATION"] == "ALLOW"
    assert "agi_failed" not in [entry["event"] for entry in logs]
