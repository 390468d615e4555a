"""The FastAGI adapter: conversations with Asterisk on a socket, decided by a real server."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from agi_peer import USAGE, Asterisk
from definitions import tenant_from
from given import ACME, ALICE, BOB, KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import DEADLINE, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.errors import ListenError
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.current import CurrentSnapshots
from rightcall.agi.server import AgiServer
from rightcall.agi.settings import AgiSettings, OnFailure
from rightcall.aio import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

STALE = {"WAZO_AUTHORIZATION": "ALLOW", "WAZO_PASSWORD": "1111"}
"""What an earlier check on the channel left behind."""
FROM_ALICE = {"WAZO_USERID": "5", "WAZO_USERUUID": ALICE}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Alice may not dial 0900, and needs 4321 for 00; through the outcall 3 nobody may dial 118."""
    tenant = tenant_from(
        {
            "uuid": ACME,
            "users": [{"uuid": ALICE}, {"uuid": BOB}],
            "outcalls": [{"id": "3"}],
            "call_permissions": [
                {"id": 1, "extensions": ["_0900."], "users": [ALICE]},
                {"id": 2, "extensions": ["_00."], "users": [ALICE], "password": "4321"},
                {"id": 3, "extensions": ["118"], "outcalls": ["3"]},
            ],
        }
    )
    current = CurrentSnapshots("rules of a test")
    blob = Compiler(secret=KEY).compile(tenant, Revision(1, "ab" * 32), compiled_at=1.5e9)
    current.replace(decode(blob, secrets=(KEY,)))
    with running_server(current=current, secrets=(KEY,), challenge_attempts=100) as it:
        yield it


@contextmanager
def adapter(target: str, **chosen: Any) -> Iterator[AgiServer]:
    """An adapter that asks ``target``; with time enough, unless it is told otherwise."""
    told = AgiSettings(**{"listen": "127.0.0.1:0", "deadline": DEADLINE, "drain_seconds": 5.0, **chosen})
    with AgiServer(told, lambda: Client(target)) as server:
        yield server


@pytest.fixture(scope="module")
def agi(running: Running) -> Iterator[AgiServer]:
    """An adapter."""
    with adapter(running.server.address) as it:
        yield it


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_an_allowed_call_reads_and_sets_what_the_dialplan_expects(agi: AgiServer) -> None:
    """The whole transcript; what an earlier check left behind is gone before anything is asked."""
    asterisk = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "200"})
    variables = asterisk.call(agi.address)

    assert asterisk.transcript == [
        'SET VARIABLE WAZO_PASSWORD ""',
        'SET VARIABLE WAZO_AUTHORIZATION "DENY"',
        "GET VARIABLE WAZO_OUTCALLID",
        "GET VARIABLE WAZO_USERUUID",
        "GET VARIABLE WAZO_DSTNUM",
        'SET VARIABLE WAZO_AUTHORIZATION "ALLOW"',
    ]
    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("ALLOW", "")


def test_a_denied_call_is_denied_whatever_an_earlier_check_left_behind(agi: AgiServer) -> None:
    """Without a password that would turn the denial into a question."""
    variables = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0900123456"}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("DENY", "")


@pytest.mark.parametrize(
    ("variables", "verdict"),
    [
        ({"WAZO_USERUUID": BOB, "WAZO_DSTNUM": "118"}, "ALLOW"),
        ({"WAZO_USERUUID": BOB, "WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3"}, "DENY"),
        ({"WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3"}, "DENY"),
        ({"WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3", "WAZO_TENANT_UUID": ACME}, "DENY"),
        ({"WAZO_DSTNUM": "0900123456"}, "ALLOW"),
        ({"WAZO_USERUUID": ALICE.upper(), "WAZO_DSTNUM": "0900123456"}, "DENY"),
    ],
)
def test_caller_outcall_and_tenant_decide(agi: AgiServer, variables: dict[str, str], verdict: str) -> None:
    """As they do over gRPC; without a user only the outcall's permissions apply."""
    assert Asterisk(variables).call(agi.address)["WAZO_AUTHORIZATION"] == verdict


def test_a_right_password_opens_the_call(agi: AgiServer) -> None:
    """The adapter asks for it; it is in no variable and in no log line."""
    asterisk = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=["4321"])
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert asterisk.transcript[-3:] == [
        "ANSWER",
        "GET DATA agent-pass 5000 40",
        'SET VARIABLE WAZO_AUTHORIZATION "ALLOW"',
    ]
    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("ALLOW", "")
    assert "4321" not in str(logs)


def test_a_caller_may_try_again_up_to_a_limit(agi: AgiServer) -> None:
    """Dialling nothing counts as a try; the third one that is wrong is the last."""
    question = {**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}
    second = Asterisk(question, dialled=["1234", "4321"])
    never = Asterisk(question, dialled=["1", "", "2", "4321"])

    assert second.call(agi.address)["WAZO_AUTHORIZATION"] == "ALLOW"
    assert never.call(agi.address)["WAZO_AUTHORIZATION"] == "DENY"
    assert [line for line in never.transcript if line.startswith("GET DATA")] == [
        "GET DATA agent-pass 5000 40",
        "GET DATA auth-incorrect 5000 40",
        "GET DATA auth-incorrect 5000 40",
    ]


def test_a_caller_who_hangs_up_ends_the_conversation(agi: AgiServer) -> None:
    """The channel stays denied, and nothing is logged at info: people do that."""
    asterisk = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=[None])
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert asterisk.transcript[-1].startswith("GET DATA")
    assert {entry["log_level"] for entry in logs} <= {"debug"}


@pytest.mark.parametrize(
    ("mode", "outcall", "verdict"),
    [
        (OnFailure.CLOSED, "", "DENY"),
        (OnFailure.CLOSED, "3", "DENY"),
        (OnFailure.OPEN, "", "ALLOW"),
        (OnFailure.OPEN, "3", "ALLOW"),
        (OnFailure.INTERNAL, "", "ALLOW"),
        (OnFailure.INTERNAL, "3", "DENY"),
    ],
)
def test_without_a_server_the_failure_mode_decides(mode: OnFailure, outcall: str, verdict: str) -> None:
    """And the log says what was decided, and why."""
    question = {**STALE, **FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": outcall}
    with capture_logs() as logs, adapter(closed_port(), deadline=0.3, on_failure=mode) as agi:
        variables = Asterisk(question).call(agi.address)
    (told,) = [entry for entry in logs if entry["event"] == "agi_no_answer"]

    assert variables["WAZO_AUTHORIZATION"] == told["verdict"] == verdict


@pytest.mark.parametrize("mode", [OnFailure.CLOSED, OnFailure.INTERNAL, OnFailure.OPEN])
def test_a_server_that_hangs_costs_a_call_the_deadline_and_no_more(mode: OnFailure) -> None:
    """It takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with adapter(target, deadline=0.2, on_failure=mode) as agi:
            variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": "3"}).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == ("ALLOW" if mode is OnFailure.OPEN else "DENY")


def test_an_asterisk_that_is_slow_gets_the_failure_modes_verdict(running: Running) -> None:
    """A reply that comes after the deadline is not taken for the next command's."""
    with adapter(running.server.address, deadline=0.25, on_failure=OnFailure.OPEN) as agi:
        variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0900123456"}, slow=0.1).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "ALLOW"


def test_a_user_without_a_uuid_is_not_taken_for_nobody(agi: AgiServer) -> None:
    """Nobody would be allowed; the log says which variable is missing."""
    with capture_logs() as logs:
        variables = Asterisk({"WAZO_USERID": "5", "WAZO_DSTNUM": "0900123456"}).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    (told,) = [entry for entry in logs if entry["event"] == "agi_caller_unknown"]
    assert "WAZO_USERUUID" in told["advice"]


def test_a_question_that_the_server_refuses_is_a_failure(agi: AgiServer) -> None:
    """Nothing dialled, say."""
    with capture_logs() as logs:
        variables = Asterisk(FROM_ALICE).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert [entry["event"] for entry in logs] == ["agi_no_answer"]
    assert "empty" in logs[0]["error"]


def test_a_challenge_that_cannot_be_answered_is_a_denial_even_if_failures_are_open(running: Running) -> None:
    """The rules have asked for a password, so nobody gets through without one."""
    stopped = threading.Event()
    with (
        running_server(current=running.current, secrets=(KEY,)) as other,
        adapter(other.server.address, on_failure=OnFailure.OPEN) as agi,
    ):
        asterisk = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=_after(other, stopped))
        variables = asterisk.call(agi.address)

    assert stopped.is_set()
    assert variables["WAZO_AUTHORIZATION"] == "DENY"


def _after(running: Running, stopped: threading.Event) -> Iterator[str]:
    """The right password, dialled when the server has stopped."""
    running.server.stop()
    stopped.set()
    yield "4321"


def test_a_server_without_the_secret_cannot_check_passwords(running: Running) -> None:
    """Nobody is asked for one in vain; the log says what is missing."""
    with running_server(current=running.current) as other, adapter(other.server.address) as agi, capture_logs() as logs:
        asterisk = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=["4321"])
        variables = asterisk.call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert "ANSWER" not in asterisk.transcript
    assert "agi_no_challenge" in [entry["event"] for entry in logs]


def test_another_script_is_refused_and_its_channel_left_alone(agi: AgiServer) -> None:
    """It was meant for another program."""
    asterisk = Asterisk(STALE, script="incoming_user_set_features")
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert variables == STALE
    assert asterisk.transcript == []
    assert [entry["event"] for entry in logs] == ["agi_script_unknown"]


@pytest.mark.parametrize(
    "instead",
    [
        {"GET VARIABLE WAZO_DSTNUM": "200 result=1 (line one\nline two)"},
        {"GET VARIABLE WAZO_DSTNUM": "510 Invalid or unknown command"},
        {"GET VARIABLE WAZO_DSTNUM": USAGE},
        {"GET VARIABLE WAZO_DSTNUM": f"200 result=1 ({'1' * 10_000})"},
        {"GET VARIABLE WAZO_OUTCALLID": "503 whatever"},
    ],
)
def test_replies_that_make_no_sense_are_a_failure(agi: AgiServer, instead: dict[str, str]) -> None:
    """The call stays denied, and the log says so."""
    with capture_logs() as logs:
        variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200"}, instead=instead).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert any(entry["log_level"] in {"warning", "error"} for entry in logs)


def test_only_the_networks_that_are_allowed_may_connect(running: Running) -> None:
    """FastAGI has no passwords; whoever connects could ask as anybody."""
    from ipaddress import ip_network  # noqa: PLC0415 - of this test alone

    with adapter(running.server.address, allow=(ip_network("192.0.2.0/24"),)) as agi, capture_logs() as logs:
        asterisk = Asterisk(FROM_ALICE)
        asterisk.call(agi.address)

    assert asterisk.transcript == []
    assert "agi_peer_refused" in [entry["event"] for entry in logs]


def test_many_calls_are_answered_at_the_same_time(running: Running) -> None:
    """A caller who takes his time over a password keeps nobody waiting."""
    go_on = threading.Event()

    def thinking() -> Iterator[str]:
        go_on.wait(DEADLINE)
        yield "4321"

    with adapter(running.server.address) as agi:
        slow = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=thinking())
        thread = threading.Thread(target=slow.call, args=(agi.address,))
        thread.start()
        until(lambda: any(line.startswith("GET DATA") for line in slow.transcript), "a password is asked for")
        others = [Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200"}).call(agi.address) for _ in range(20)]
        go_on.set()
        thread.join(DEADLINE)

    assert {variables["WAZO_AUTHORIZATION"] for variables in others} == {"ALLOW"}
    assert slow.variables["WAZO_AUTHORIZATION"] == "ALLOW"


def test_a_stop_lets_conversations_end(running: Running) -> None:
    """Those that are held; no others begin."""
    go_on = threading.Event()

    def thinking() -> Iterator[str]:
        go_on.wait(DEADLINE)
        yield "4321"

    agi = AgiServer(AgiSettings(listen="127.0.0.1:0", deadline=DEADLINE), lambda: Client(running.server.address))
    agi.start()
    slow = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123456"}, dialled=thinking())
    thread = threading.Thread(target=slow.call, args=(agi.address,))
    thread.start()
    until(lambda: any(line.startswith("GET DATA") for line in slow.transcript), "a password is asked for")
    stopping = threading.Thread(target=agi.stop)
    stopping.start()
    go_on.set()
    stopping.join(DEADLINE)
    thread.join(DEADLINE)

    assert slow.variables["WAZO_AUTHORIZATION"] == "ALLOW"


def test_a_stop_does_not_wait_for_ever(running: Running) -> None:
    """A silent connection is cut."""
    agi = AgiServer(AgiSettings(listen="127.0.0.1:0", drain_seconds=0.1), lambda: Client(running.server.address))
    agi.start()
    host, _, port = agi.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as silent:
        silent.sendall(b"agi_network: yes\n")
        until(lambda: agi._conversations, "the conversation is held")
        agi.stop()
        assert silent.recv(1) == b""


def test_an_address_that_is_taken_is_an_error_that_says_so(agi: AgiServer) -> None:
    """Before anything is served."""
    with pytest.raises(ListenError, match="something listens there already"):
        AgiServer(AgiSettings(listen=agi.address), lambda: Client(closed_port()))


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
def test_whatever_is_said_the_next_call_is_answered(agi: AgiServer, said: list[bytes]) -> None:
    """Garbage ends its own conversation and no other, and is no defect."""
    host, _, port = agi.address.rpartition(":")
    with capture_logs() as logs:
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
            client.sendall(b"".join(said))
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        answered = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200"}).call(agi.address)

    assert answered["WAZO_AUTHORIZATION"] == "ALLOW"
    assert "agi_failed" not in [entry["event"] for entry in logs]
