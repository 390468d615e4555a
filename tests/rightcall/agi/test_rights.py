"""The FastAGI adapter's verdicts: dialogues with Asterisk on a socket, decided by a real server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from agi_adapter import FROM_ALICE, STALE, adapter, closed_port, counted, rules
from agi_peer import USAGE, Asterisk
from given import ACME, ALICE, BOB, denying
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import running_server
from structlog.testing import capture_logs

from pdp.rules.dialling import Emergency
from pdp.rules.model import Outcall, Tenant, User
from pdp.settings import Unknown
from rightcall.agi.settings import OnFailure, UnknownTenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from rightcall.agi.server import AgiServer


@pytest.fixture(scope="module")
def denying_all() -> Iterator[AgiServer]:
    """An adapter whose server denies Alice everything; failures are allowed."""
    with (
        running_server(denying("_!")) as running,
        adapter(running.server.address, on_failure=OnFailure.OPEN) as agi,
    ):
        yield agi


def test_an_allowed_call_takes_two_round_trips(agi: AgiServer) -> None:
    """One that denies it and reads all variables, one that sets the verdict with its reason."""
    asterisk = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "200"})
    variables = asterisk.call(agi.address)

    assert asterisk.commands == ["GET FULL", "GET FULL"]
    assert "SET(WAZO_AUTHORIZATION=DENY)" in asterisk.transcript[0]
    assert "SET(WAZO_AUTHORIZATION=ALLOW)" in asterisk.transcript[1]
    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("ALLOW", "")
    assert variables["RIGHTCALL_REASON"] == "no-rule"


def test_a_denied_call_is_denied_with_the_permission_that_did_it(agi: AgiServer) -> None:
    """What an earlier check left behind is gone: no password could turn the denial into a challenge."""
    with capture_logs() as logs:
        variables = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0900123456"}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("DENY", "")
    assert (variables["RIGHTCALL_REASON"], variables["RIGHTCALL_PERMISSION"]) == ("rule", "1")
    (told,) = [entry for entry in logs if entry["event"] == "agi_denied"]
    assert (told["caller"], told["reason"], told["permission"]) == (ALICE, "rule", "1")


@pytest.mark.parametrize(
    ("variables", "verdict"),
    [
        ({"WAZO_USERUUID": BOB, "WAZO_DSTNUM": "118"}, "ALLOW"),
        ({"WAZO_USERUUID": BOB, "WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3"}, "DENY"),
        ({"WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3"}, "DENY"),
        ({"WAZO_DSTNUM": "118", "WAZO_OUTCALLID": "3", "WAZO_TENANT_UUID": ACME}, "DENY"),
        ({"WAZO_USERUUID": ALICE.upper(), "WAZO_DSTNUM": "0900123456"}, "DENY"),
    ],
)
def test_caller_outcall_and_tenant_decide(agi: AgiServer, variables: dict[str, str], verdict: str) -> None:
    """As they do over gRPC; without a user only the outcall's permissions apply."""
    assert Asterisk(variables).call(agi.address)["WAZO_AUTHORIZATION"] == verdict


@pytest.mark.parametrize("mode", list(OnFailure))
def test_an_incoming_call_is_allowed_without_asking(mode: OnFailure) -> None:
    """No rule can apply to a call without user and outcall: no server is needed to let it in."""
    with adapter(closed_port(), on_failure=mode) as agi:
        variables = Asterisk({**STALE, "WAZO_DSTNUM": "0900123456", "WAZO_TENANT_UUID": ACME}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("ALLOW", "not-checked")
    assert counted(agi, "rightcall_agi_calls_total", verdict="allow", reason="not-checked") == 1


@pytest.mark.parametrize("number", ["112", "1 1-2", "112#", "*31#112", "0112", "*31#0112", "١١٢", "0 112 #"])
@pytest.mark.parametrize("channel", [FROM_ALICE, {"WAZO_USERID": "5"}, {"WAZO_TENANT_UUID": "nonsense"}, {}])
@pytest.mark.parametrize("mode", [OnFailure.CLOSED, OnFailure.INTERNAL])
def test_an_emergency_number_is_allowed_without_asking(mode: OnFailure, channel: dict[str, str], number: str) -> None:
    """For every caller and every way to dial it, without any server."""
    with adapter(closed_port(), on_failure=mode, emergency=Emergency(("112", "911"), "0")) as agi:
        asked = {**STALE, **channel, "WAZO_DSTNUM": number, "WAZO_OUTCALLID": "3"}
        variables = Asterisk(asked).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("ALLOW", "emergency")
    assert variables["WAZO_PASSWORD"] == ""
    assert counted(agi, "rightcall_agi_calls_total", verdict="allow", reason="emergency") == 1


def test_what_the_server_says_of_emergencies_and_strangers_is_on_the_channel() -> None:
    """Its own emergency numbers, and callers and outcalls that it denies because it does not know them."""
    stranger = "00000000-0000-4000-8000-000000000000"
    policy = {"unknown_caller": Unknown.DENY, "unknown_outcall": Unknown.DENY}
    cases = {
        ("ALLOW", "emergency"): {**FROM_ALICE, "WAZO_DSTNUM": "15", "WAZO_OUTCALLID": "3"},
        ("DENY", "unknown-caller"): {"WAZO_USERUUID": stranger, "WAZO_DSTNUM": "200"},
        ("DENY", "unknown-outcall"): {**FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": "9"},
    }
    with rules(emergency="15", **policy) as running, adapter(running.server.address) as agi:
        found = [Asterisk(channel).call(agi.address) for channel in cases.values()]

    assert [(one["WAZO_AUTHORIZATION"], one["RIGHTCALL_REASON"]) for one in found] == list(cases)


@pytest.mark.parametrize("number", ["1120", "9112", "+112", "112*1", "112\n", "112\x00", "11", ""])
def test_what_only_looks_like_an_emergency_number_is_none(number: str) -> None:
    """It is decided like any other call."""
    with adapter(closed_port(), deadline=0.1, emergency=Emergency(("112",), "0")) as agi:
        variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": number, "WAZO_OUTCALLID": "3"}).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert variables["RIGHTCALL_REASON"] in {"no-answer", "invalid"}


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
    """And channel, log and metrics say so."""
    question = {**STALE, **FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": outcall}
    with capture_logs() as logs, adapter(closed_port(), deadline=0.3, on_failure=mode) as agi:
        variables = Asterisk(question).call(agi.address)
    (told,) = [entry for entry in logs if entry["event"] == "agi_no_answer"]

    assert variables["WAZO_AUTHORIZATION"] == told["verdict"] == verdict
    assert variables["RIGHTCALL_REASON"] == "no-answer"
    assert counted(agi, "rightcall_agi_calls_total", verdict=verdict.lower(), reason="no-answer") == 1


@pytest.mark.parametrize("mode", list(OnFailure))
def test_a_server_that_hangs_costs_a_call_the_deadline_and_no_more(mode: OnFailure) -> None:
    """It takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with adapter(target, deadline=0.2, on_failure=mode) as agi:
            variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": "3"}).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == ("ALLOW" if mode is OnFailure.OPEN else "DENY")


def test_a_slow_asterisk_takes_nothing_from_the_servers_time(running: Running) -> None:
    """Each of its replies takes longer than the server may; the rules decide all the same."""
    with adapter(running.server.address, deadline=0.5, on_failure=OnFailure.CLOSED) as agi:
        allowed = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "200"}, slow=0.7).call(agi.address)
        denied = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0900123456"}, slow=0.7).call(agi.address)

    assert (allowed["WAZO_AUTHORIZATION"], allowed["RIGHTCALL_REASON"]) == ("ALLOW", "no-rule")
    assert (denied["WAZO_AUTHORIZATION"], denied["RIGHTCALL_REASON"]) == ("DENY", "rule")


@pytest.mark.parametrize(
    ("mode", "outcall", "verdict"),
    [
        (OnFailure.INTERNAL, "", "ALLOW"),
        (OnFailure.INTERNAL, "3", "DENY"),
        (OnFailure.CLOSED, "", "DENY"),
        (OnFailure.OPEN, "3", "ALLOW"),
    ],
)
def test_a_closed_tenant_is_a_failure_with_a_reason_of_its_own(mode: OnFailure, outcall: str, verdict: str) -> None:
    """Its users are known, and its rules are not: the failure mode decides."""
    tenant = Tenant(ACME, "acme", users=(User(ALICE),), outcalls=(Outcall("3", "world"),), closed=2)
    channel = {**STALE, **FROM_ALICE, "WAZO_DSTNUM": "200", "WAZO_OUTCALLID": outcall}
    with running_server(tenant) as running, adapter(running.server.address, on_failure=mode) as agi:
        variables = Asterisk(channel).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == (verdict, "closed-tenant")


@pytest.mark.parametrize(
    ("mode", "verdict"), [(UnknownTenant.DENY, "DENY"), (UnknownTenant.ALLOW, "ALLOW")], ids=["deny", "allow"]
)
@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_an_unknown_tenant_is_a_decision_of_its_own(
    running: Running, mode: UnknownTenant, verdict: str, on_failure: OnFailure
) -> None:
    """The failure mode has no say in it: the server did answer."""
    channel = {"WAZO_DSTNUM": "200", "WAZO_OUTCALLID": "9", "WAZO_TENANT_UUID": ACME[::-1]}
    channel["WAZO_TENANT_UUID"] = "00000000-0000-4000-8000-000000000000"
    with adapter(running.server.address, unknown_tenant=mode, on_failure=on_failure) as agi, capture_logs() as logs:
        variables = Asterisk(channel).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == (verdict, "unknown-tenant")
    assert "agi_tenant_unknown" in [entry["event"] for entry in logs]


@pytest.mark.parametrize("mode", list(OnFailure))
def test_a_request_that_the_server_rejects_is_denied_in_every_failure_mode(running: Running, mode: OnFailure) -> None:
    """Else dialling nonsense would be a way past the rules."""
    with adapter(running.server.address, on_failure=mode) as agi, capture_logs() as logs:
        variables = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": ""}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("DENY", "invalid")
    (told,) = [entry for entry in logs if entry["event"] == "agi_call_rejected"]
    assert "empty" in told["error"]


@pytest.mark.parametrize(
    "number",
    [
        "0612345678\n",
        "06\n12345678",
        "200\n200 result=1 (200)",
        "200\n511 Command Not Permitted on a dead channel",
        "200\n520-Invalid\n520 End",
        "200\r5",
        "2\x1b00",
        "2\x7f00",
    ],
)
def test_a_number_with_control_characters_is_denied(running: Running, number: str) -> None:
    """Even where failures are allowed; nothing is asked about a part of it, and one line says so."""
    with adapter(running.server.address, on_failure=OnFailure.OPEN) as agi, capture_logs() as logs:
        variables = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": number}).call(agi.address)

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert variables["WAZO_PASSWORD"] == ""
    assert counted(agi, "rightcall_agi_server_seconds_count") == 0
    assert len([entry for entry in logs if entry["event"].startswith("agi_") and "server" not in entry["event"]]) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
    | st.lists(st.sampled_from(["\n", "200 result=1 (", "~", ")", '"', "\\", "${WAZO_X}", "1", "511 x", " "])).map(
        "".join
    )
)
def test_no_number_gets_past_rules_that_deny_all(denying_all: AgiServer, number: str) -> None:
    """It is asked about as a whole, or denied as it is."""
    variables = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": number, "WAZO_OUTCALLID": "3"}).call(
        denying_all.address
    )

    assert variables["WAZO_AUTHORIZATION"] == "DENY"
    assert variables["WAZO_PASSWORD"] == ""
    assert variables["RIGHTCALL_REASON"] in {"rule", "invalid"}


def test_callers_cannot_write_asterisks_lines(agi: AgiServer) -> None:
    """A name with line breaks in the environment neither chooses the script nor answers a command."""
    forged = "agi_calleridname: x\nagi_network_script: shadow\n\n200 result=1 (~0~~0~)\nagi_arg_1: x\n"
    asterisk = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0900123456"}, environment=forged)

    assert asterisk.call(agi.address)["WAZO_AUTHORIZATION"] == "DENY"


def test_a_value_that_looks_like_dialplan_is_only_a_value(running: Running) -> None:
    """Asterisk puts values in once; the adapter sends none back."""
    with adapter(running.server.address) as agi:
        asterisk = Asterisk({**FROM_ALICE, "WAZO_DSTNUM": '${SET(WAZO_AUTHORIZATION=ALLOW)}"'})
        asterisk.call(agi.address)

    assert asterisk.variables["RIGHTCALL_REASON"] in {"no-rule", "invalid"}
    assert not any('ALLOW)}"' in line for line in asterisk.transcript)


def test_a_dialplan_without_functions_is_set_line_by_line(agi: AgiServer) -> None:
    """The verdict is in the channel all the same, and was DENY before."""
    asterisk = Asterisk({**STALE, **FROM_ALICE, "WAZO_DSTNUM": "0900123456"}, functions=False)
    variables = asterisk.call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["WAZO_PASSWORD"]) == ("DENY", "")
    assert variables["RIGHTCALL_REASON"] == "rule"
    assert 'SET VARIABLE WAZO_AUTHORIZATION "DENY"' in asterisk.transcript[:7]


@pytest.mark.parametrize(
    ("channel", "number", "told"),
    [
        ({"WAZO_USERID": "5"}, "0900123", ("DENY", "rule")),
        ({"WAZO_USERID": "6"}, "0900123", ("ALLOW", "no-rule")),
        ({"WAZO_USERID": "5", "WAZO_TENANT_UUID": ACME}, "0900123", ("DENY", "rule")),
        ({"WAZO_USERID": "7"}, "200", ("DENY", "invalid")),
        ({"WAZO_USERID": "alice"}, "200", ("DENY", "invalid")),
    ],
)
def test_a_user_without_a_uuid_is_known_by_number(
    running: Running, channel: dict[str, str], number: str, told: tuple[str, str]
) -> None:
    """One whom the server does not know does not pass for a call without user, in no failure mode."""
    with adapter(running.server.address, on_failure=OnFailure.OPEN) as agi:
        variables = Asterisk({**channel, "WAZO_DSTNUM": number}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == told


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ({"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": "user:5"}, ("DENY", "rule")),
        ({"WAZO_USERUUID": ALICE, "WAZO_FWD_REFERER": "user:6"}, ("ALLOW", "no-rule")),
        ({"WAZO_FWD_REFERER": "user:5", "WAZO_TENANT_UUID": ACME}, ("DENY", "rule")),
        ({"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": "user:99"}, ("DENY", "invalid")),
        ({"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": "group:5"}, ("ALLOW", "no-rule")),
        ({"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": ""}, ("ALLOW", "no-rule")),
    ],
)
def test_a_forwarded_call_is_decided_by_who_forwards_it(
    agi: AgiServer, channel: dict[str, str], told: tuple[str, str]
) -> None:
    """Where it leaves through an outcall; a group or a queue that forwards has no permissions."""
    variables = Asterisk({**channel, "WAZO_DSTNUM": "0900123", "WAZO_OUTCALLID": "3"}).call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == told


def test_a_call_to_a_user_is_its_callers_even_if_it_was_forwarded_before(agi: AgiServer) -> None:
    """It costs nothing: only outcalls look at who forwards."""
    channel = {"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": "user:5", "WAZO_DSTNUM": "0900123"}

    assert Asterisk(channel).call(agi.address)["WAZO_AUTHORIZATION"] == "ALLOW"


def test_nobody_is_asked_for_the_pin_of_who_forwards(agi: AgiServer) -> None:
    """The one who knows it is not on the line."""
    channel = {"WAZO_USERUUID": BOB, "WAZO_FWD_REFERER": "user:5", "WAZO_DSTNUM": "0033123", "WAZO_OUTCALLID": "3"}
    asterisk = Asterisk(channel, dialled=["4321"])
    variables = asterisk.call(agi.address)

    assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("DENY", "unanswerable")
    assert "GET DATA" not in asterisk.commands


@pytest.mark.parametrize("script", ["incoming_user_set_features", "shadows", "user_set_call_rights/x"])
def test_another_script_is_not_answered_and_its_channel_left_alone(agi: AgiServer, script: str) -> None:
    """It was meant for another program."""
    asterisk = Asterisk(STALE, script=script)
    with capture_logs() as logs:
        variables = asterisk.call(agi.address)

    assert variables == STALE
    assert asterisk.transcript == []
    assert [entry["event"] for entry in logs] == ["agi_script_unknown"]


@pytest.mark.parametrize(
    "instead",
    [
        {"GET FULL": "510 Invalid or unknown command"},
        {"GET FULL": USAGE},
        {"GET FULL": "200 result=0"},
        {"GET FULL": f"200 result=1 ({'1' * 100_000})"},
        {"GET FULL": "503 out of order"},
    ],
)
def test_replies_that_make_no_sense_end_the_dialogue(running: Running, instead: dict[str, str]) -> None:
    """The call stays denied, and log and metrics say so."""
    question = {**FROM_ALICE, "WAZO_DSTNUM": "200"}
    with adapter(running.server.address, asterisk_deadline=0.5) as agi, capture_logs() as logs:
        variables = Asterisk(question, instead=instead).call(agi.address)

    assert variables.get("WAZO_AUTHORIZATION") == "DENY"
    assert any(entry["log_level"] in {"warning", "error"} for entry in logs)
    causes = [counted(agi, "rightcall_agi_dialogues_broken_total", cause=cause) for cause in ("protocol", "silent")]
    assert sum(causes) == 1
